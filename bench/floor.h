/* What bench/floor.c and the floor.c of an architecture share. */
#pragma once

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

struct floor {
	const char *image; /* the path of the file to load */
	int kvm, vm, vcpu;
	uint8_t *memory; /* the guest's, from floor_memory_base on */
	uint64_t size;	 /* bytes of it */
};

/* Ends the program with perror(what) unless condition holds. */
void need(int condition, const char *what);

extern const uint64_t floor_memory_base; /* guest physical address */

/* Called before and after the vCPU is created; the latter loads the image. */
void floor_prepare_vm(const struct floor *floor);
void floor_prepare_vcpu(const struct floor *floor);

/* Whether the vCPU returned because the guest ended itself. */
bool floor_guest_ended(const struct kvm_run *run);
