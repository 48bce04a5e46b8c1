/* Power registers: a window of eight byte registers by which a guest turns the
 * VM off, resets it and reports to the monitor.
 *
 * A machine that has I/O ports has them at POWER_PORT, any other at the guest
 * physical address POWER_ADDRESS. They exist under onggi alone: guest init
 * looks for ONGGI=1 in its environment before it touches them.
 *
 *	0  sleep control  ACPI 6.5, 4.8.3.7. Writing POWER_OFF_VALUE, which is
 *	                  SLP_EN (bit 5) with SLP_TYP (bits 4:2) of 5, turns the
 *	                  VM off; other values of these bits do nothing. Reads
 *0. 1  sleep status   ACPI 6.5, 4.8.3.7. WAK_STS (bit 7), write 1 to clear.
 *	                  Nothing sleeps, so it always reads 0.
 *	2  reset          ACPI 6.5, 4.8.3.6. Writing POWER_RESET_VALUE resets
 *the VM; any other value does nothing. Reads 0. 3  events         What happened
 *since the last read, which clears it: bit 0, the power button was pressed. The
 *interrupt line is raised when a bit is set. Writes do nothing. 4  boot mark
 *The first write, of any value, says that user space is up; later ones do
 *nothing. Reads 0. 5  exit code      Remembered, and handed over at power-off
 *as what onggi exits with; 0 until written. Reads what was written. 6, 7 Writes
 *do nothing. Read 0.
 *
 * Registers 0 to 2 are what the FADT of a hardware-reduced platform points
 * at, 3 is read by the generic event device's AML, 4 and 5 are written by
 * guest init. Wider accesses are taken apart into bytes, lowest offset first.
 */
#pragma once

#define POWER_PORT 0x600
#define POWER_ADDRESS 0x09020000
#define POWER_WINDOW 8 /* bytes */

#define POWER_SLEEP_CONTROL 0
#define POWER_SLEEP_STATUS 1
#define POWER_RESET 2
#define POWER_EVENTS 3
#define POWER_BOOT_MARK 4
#define POWER_EXIT_CODE 5

#define POWER_SLP_TYP_OFF 5 /* of S5: what \_S5 in the DSDT must say */
#define POWER_OFF_VALUE (1 << 5 | POWER_SLP_TYP_OFF << 2)
#define POWER_OFF_MASK 0x3c /* SLP_EN and SLP_TYP */
#define POWER_RESET_VALUE 1
#define POWER_EVENT_BUTTON 0x01
