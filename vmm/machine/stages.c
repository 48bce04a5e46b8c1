#include "vmm/machine/stages.h"

#include "base/log.h"

int stages_create(const struct stage *stages, unsigned count, void *ctx,
		  struct error *err)
{
	for (unsigned i = 0; i < count; i++) {
		if (stages[i].create(ctx, err)) {
			stages_destroy(stages, i + 1, ctx);
			return -1;
		}
		log_debug("created: %s", stages[i].name);
	}
	return 0;
}

void stages_destroy(const struct stage *stages, unsigned count, void *ctx)
{
	while (count-- > 0)
		if (stages[count].destroy)
			stages[count].destroy(ctx);
}
