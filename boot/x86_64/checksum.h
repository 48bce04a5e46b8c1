/* The checksum that ACPI and MP tables share: all bytes add up to 0. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* What the checksum byte must become, when it is 0 now. */
static inline uint8_t table_checksum(const void *table, size_t len)
{
	const uint8_t *bytes = table;
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + bytes[i]);
	return (uint8_t)-sum;
}
