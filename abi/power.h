/* Power registers: eight byte registers by which a guest turns the VM off,
 * resets it and reports to the monitor.
 *
 * They are at I/O port POWER_PORT on a machine that has I/O ports, and at guest
 * physical address POWER_ADDRESS on any other. Only onggi has them, so guest
 * init looks for ONGGI=1 in its environment before it touches them.
 *
 *	0  sleep control: ACPI 6.5, 4.8.3.7. Writing POWER_OFF_VALUE, which is
 *	   SLP_EN (bit 5) with an SLP_TYP (bits 4:2) of 5, turns the VM off.
 *	   Other values of these bits do nothing. Reads 0.
 *	1  sleep status: ACPI 6.5, 4.8.3.7. WAK_STS (bit 7), write 1 to clear.
 *	   Nothing sleeps, so it always reads 0.
 *	2  reset: ACPI 6.5, 4.8.3.6. Writing POWER_RESET_VALUE resets the VM.
 *	   Other values do nothing. Reads 0.
 *	3  events: what happened since the last read, which clears it.
 *	   Bit 0: the power button was pressed. The interrupt line is raised
 *	   when a bit is set. Writes do nothing.
 *	4  boot mark: the first write, of any value, says that user space is
 *	   up. Later ones do nothing. Reads 0.
 *	5  exit code: onggi exits with it after power-off. 0 until written.
 *	   Reads what was written.
 *	6, 7  Writes do nothing. Read 0.
 *
 * The FADT of a hardware-reduced platform points at registers 0 to 2. The AML
 * of the generic event device reads 3. Guest init writes 4 and 5. A wider
 * access is carried out byte by byte, lowest offset first.
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

#define POWER_SLP_TYP_OFF 5 /* of S5, as in the DSDT's \_S5 */
#define POWER_OFF_VALUE (1 << 5 | POWER_SLP_TYP_OFF << 2)
#define POWER_OFF_MASK 0x3c /* SLP_EN and SLP_TYP */
#define POWER_RESET_VALUE 1
#define POWER_EVENT_BUTTON 0x01
