/*
 * The part of init that differs on arm64: its entry, system calls, and the
 * registers of onggi.
 */
#pragma once

#include <sys/mman.h>
#include <sys/stat.h>

#include "abi/power.h"

enum { REGISTERS_SIZE = 4096 };		/* bytes that are mapped: a page */
enum { DEVICE_MEM = 1 << 8 | 1 };	/* major and minor number */

/* At entry, argc is at the stack pointer, and argv follows it. */
__asm__(".globl _start\n"
	"_start:\n"
	"	mov x0, sp\n"
	"	bl start\n");

static inline long system_call6(long number, long a, long b, long c, long d,
				long e, long f)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc 0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
	return x0;
}

static inline long system_call(long number, long a, long b, long c, long d,
			       long e)
{
	return system_call6(number, a, b, c, d, e, 0);
}

static long open_dev_mem(void)
{
	return system_call(SYS_openat, AT_FDCWD, (long)"/dev/mem",
			   O_RDWR | O_SYNC | O_CLOEXEC, 0, 0);
}

/* The registers, which the first call maps; NULL if the kernel refuses. */
static unsigned char *registers(void)
{
	static unsigned char *mapped;
	long fd, address;

	if (mapped)
		return mapped;
	fd = open_dev_mem();
	if (fd < 0) {
		/* Early in an initramfs, /dev is an empty folder. */
		system_call(SYS_mknodat, AT_FDCWD, (long)"/dev/mem",
			    S_IFCHR | 0600, DEVICE_MEM, 0);
		fd = open_dev_mem();
	}
	if (fd < 0)
		return NULL;
	address = system_call6(SYS_mmap, 0, REGISTERS_SIZE, PROT_WRITE,
			       MAP_SHARED, fd, POWER_ADDRESS);
	system_call(SYS_close, fd, 0, 0, 0, 0);
	/* The last 4095 numbers are errors. */
	if ((unsigned long)address < -4095UL)
		mapped = (unsigned char *)address;
	return mapped;
}

/* A plain store, because KVM cannot decode one that also changes its address
 * register. */
static void write_register(unsigned offset, unsigned char value)
{
	unsigned char *base = registers();

	if (base)
		__asm__ volatile("strb %w0, [%1]"
				 : : "rZ"(value), "r"(base + offset)
				 : "memory");
}

/* Whether reboot() can power off, on any monitor. PSCI always can. */
static int machine_can_power_off(void)
{
	return 1;
}
