/*
 * What init needs to know about arm64: how to enter, how to make a system call,
 * and the registers of onggi.
 */
#ifndef INIT_ARM64_H
#define INIT_ARM64_H

#include "abi/power.h"

enum { REGISTERS_SIZE = 4096 };		/* what is mapped of them: a page */

/* From headers that want a C library: <sys/mman.h>, <sys/stat.h>. */
enum { MAP_PROT_WRITE = 2, MAP_SHARED_ = 1, CHARACTER_DEVICE = 0020600 };
enum { DEVICE_MEM = 1 << 8 | 1 };

/* The kernel starts us with argc at the stack pointer, argv right after it. */
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

/* The registers, mapped at the first call; NULL where that is refused. */
static unsigned char *registers(void)
{
	static unsigned char *mapped;
	long fd, address;

	if (mapped)
		return mapped;
	fd = open_dev_mem();
	if (fd < 0) {
		/* Early in an initramfs, where /dev is an empty folder. */
		system_call(SYS_mknodat, AT_FDCWD, (long)"/dev/mem",
			    CHARACTER_DEVICE, DEVICE_MEM, 0);
		fd = open_dev_mem();
	}
	if (fd < 0)
		return NULL;
	address = system_call6(SYS_mmap, 0, REGISTERS_SIZE, MAP_PROT_WRITE,
			       MAP_SHARED_, fd, POWER_ADDRESS);
	system_call(SYS_close, fd, 0, 0, 0, 0);
	/* An error is one of the last 4095 numbers. */
	if ((unsigned long)address < -4095UL)
		mapped = (unsigned char *)address;
	return mapped;
}

/*
 * One plain store: of any that changes its address register as well, KVM could
 * not tell what was stored where.
 */
static void write_register(unsigned offset, unsigned char value)
{
	unsigned char *base = registers();

	if (base)
		__asm__ volatile("strb %w0, [%1]"
				 : : "rZ"(value), "r"(base + offset)
				 : "memory");
}

/* Whether reboot() can, on any monitor: PSCI always does. */
static int machine_can_power_off(void)
{
	return 1;
}

#endif
