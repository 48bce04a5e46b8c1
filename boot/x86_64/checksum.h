/* The checksum of ACPI and MP tables, which makes all bytes add up to 0. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* The value of the checksum byte, which is 0 in the table now. */
static inline uint8_t table_checksum(const void *table, size_t len)
{
	const uint8_t *bytes = table;
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + bytes[i]);
	return (uint8_t)-sum;
}
