/* A list of things that are made in order and taken down in reverse.
 *
 * Each stage's destroy takes what its create made, also what a create left that
 * failed half-way. Set-up thread.
 */
#pragma once

#include "base/error.h"

struct stage {
	const char *name;
	int (*create)(void *ctx, struct error *err);
	void (*destroy)(void *ctx); /* NULL: nothing is left of it */
};

/* Creates all of them; -1 with err set and everything taken down again. */
int stages_create(const struct stage *stages, unsigned count, void *ctx,
		  struct error *err);
void stages_destroy(const struct stage *stages, unsigned count, void *ctx);
