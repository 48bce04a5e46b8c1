/*
 * The part of init that differs on x86-64: its entry, system calls, and the
 * registers of onggi.
 */
#pragma once

#include "abi/power.h"

/* At entry, argc is at the stack pointer, and argv follows it. */
__asm__(".globl _start\n"
	"_start:\n"
	"	mov %rsp, %rdi\n"
	"	and $-16, %rsp\n"
	"	call start\n");

static inline long system_call(long number, long a, long b, long c, long d,
			       long e)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10),
			   "r"(r8)
			 : "rcx", "r11", "memory");
	return result;
}

/* For kernels without ioperm(). */
static void write_dev_port(unsigned port, unsigned char value)
{
	long fd = system_call(SYS_open, (long)"/dev/port", O_WRONLY, 0, 0, 0);

	if (fd < 0)
		return;
	system_call(SYS_pwrite64, fd, (long)&value, 1, port, 0);
	system_call(SYS_close, fd, 0, 0, 0, 0);
}

static void write_register(unsigned offset, unsigned char value)
{
	unsigned port = POWER_PORT + offset;

	/* The permission is given back at once. Children would inherit it, and
	 * it makes every switch between tasks slower. */
	if (system_call(SYS_ioperm, port, 1, 1, 0, 0) != 0) {
		write_dev_port(port, value);
		return;
	}
	__asm__ volatile("outb %0, %w1" : : "a"(value), "Nd"(port));
	system_call(SYS_ioperm, port, 1, 0, 0, 0);
}

/* Whether reboot() can power off, on any monitor. Without ACPI, x86 would only
 * halt, so init restarts instead, which ends most monitors as well. */
static int machine_can_power_off(void)
{
	return system_call(SYS_faccessat, AT_FDCWD, (long)"/sys/firmware/acpi",
			   0, 0, 0) == 0;
}
