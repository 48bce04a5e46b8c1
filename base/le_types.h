/* Little-endian integers in guest memory and in file headers.
 *
 * Each is a struct, so that the compiler refuses arithmetic on the raw bytes.
 * The functions that convert them cost nothing on little-endian hosts. Their
 * alignment is 1, so that they may be at any address. Any thread.
 */
#pragma once

#include <stdint.h>
#include <string.h>

typedef struct {
	uint8_t raw[2];
} le16_t;
typedef struct {
	uint8_t raw[4];
} le32_t;
typedef struct {
	uint8_t raw[8];
} le64_t;

static inline uint16_t le16_get(le16_t v)
{
	return (uint16_t)(v.raw[0] | v.raw[1] << 8);
}

static inline uint32_t le32_get(le32_t v)
{
	return (uint32_t)v.raw[0] | (uint32_t)v.raw[1] << 8 |
	       (uint32_t)v.raw[2] << 16 | (uint32_t)v.raw[3] << 24;
}

static inline uint64_t le64_get(le64_t v)
{
	uint64_t value = 0;

	for (int i = 7; i >= 0; i--)
		value = value << 8 | v.raw[i];
	return value;
}

static inline le16_t le16(uint16_t v)
{
	return (le16_t){ { (uint8_t)v, (uint8_t)(v >> 8) } };
}

static inline le32_t le32(uint32_t v)
{
	return (le32_t){ { (uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16),
			   (uint8_t)(v >> 24) } };
}

static inline le64_t le64(uint64_t v)
{
	le64_t out;

	for (int i = 0; i < 8; i++)
		out.raw[i] = (uint8_t)(v >> (8 * i));
	return out;
}
