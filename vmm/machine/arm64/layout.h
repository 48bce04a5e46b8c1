/* The address map of an arm64 machine, and its shared peripheral interrupts
 * (SPIs), counted from 0 as in device trees. Devices lie in the first GiB,
 * memory from 2 GiB up without a hole. */
#pragma once

#define GIC_DISTRIBUTOR 0x08000000ULL
#define GIC_DISTRIBUTOR_SIZE 0x10000ULL
#define GIC_CPU_INTERFACE 0x08010000ULL /* GICv2 */
#define GIC_CPU_INTERFACE_SIZE 0x10000ULL
#define GIC_REDISTRIBUTORS 0x080a0000ULL /* GICv3: 128 KiB for each CPU */
#define GIC_REDISTRIBUTOR_SIZE 0x20000ULL

#define SERIAL_BASE 0x09000000ULL
#define GPIO_BASE 0x09010000ULL
/* The page at 0x09020000 is that of the power registers: POWER_ADDRESS. */
#define STEAL_BASE 0x09030000ULL
#define STEAL_SIZE 0x10000ULL
#define VIRTIO_BASE 0x0a000000ULL

#define MEMORY_BASE 0x80000000ULL

#define GIC_SPI_FIRST 32 /* the number of SPI 0, behind the private ones */
#define SERIAL_SPI 0
#define GPIO_SPI 1
#define VIRTIO_SPI 2 /* and up, one for each device */

#define GPIO_POWER_BUTTON 3 /* the line on the GPIO controller */

/* The private interrupt for overflows of the virtual PMU. */
#define PMU_PPI 7
