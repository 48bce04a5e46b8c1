#include <endian.h>

#include "devices/block/virtio_blk_device.h"

/* The largest block that a loaded state may have. Disks have smaller ones. */
#define BLK_BLOCK_MAX (64u << 10)

uint64_t blk_features(const struct virtio_blk_options *options)
{
	uint64_t features =
		1ULL << VIRTIO_BLK_F_SEG_MAX | 1ULL << VIRTIO_BLK_F_BLK_SIZE |
		1ULL << VIRTIO_BLK_F_TOPOLOGY | 1ULL << VIRTIO_BLK_F_FLUSH;

	if (options->queues > 1)
		features |= 1ULL << VIRTIO_BLK_F_MQ;
	if (options->disk->readonly)
		features |= 1ULL << VIRTIO_BLK_F_RO;
	else
		features |= 1ULL << VIRTIO_BLK_F_DISCARD |
			    1ULL << VIRTIO_BLK_F_WRITE_ZEROES;
	return features;
}

/* All sizes are in logical blocks. A value that does not fit its field is left
 * out, as 0 (5.2.4). */
static void fill_topology(struct virtio_blk *blk)
{
	const struct disk_topology *topology = &blk->disk.topology;
	struct virtio_blk_config *config = &blk->config;
	uint32_t block = blk->disk.block_size;
	uint32_t offset = topology->offset / block;
	uint32_t io_min = topology->io_min / block;

	while (block << config->physical_block_exp < topology->physical)
		config->physical_block_exp++;
	if (offset <= UINT8_MAX && topology->offset % block == 0)
		config->alignment_offset = (uint8_t)offset;
	if (io_min <= UINT16_MAX)
		config->min_io_size = htole16((uint16_t)io_min);
	config->opt_io_size = htole32(topology->io_opt / block);
}

static void fill_zeroing(struct virtio_blk *blk)
{
	struct virtio_blk_config *config = &blk->config;

	config->max_discard_sectors = htole32(BLK_RANGE_MAX / SECTOR);
	config->max_discard_seg = htole32(BLK_RANGES_MAX);
	config->discard_sector_alignment =
		htole32(blk->disk.topology.physical / SECTOR);
	config->max_write_zeroes_sectors = htole32(BLK_RANGE_MAX / SECTOR);
	config->max_write_zeroes_seg = htole32(BLK_RANGES_MAX);
	config->write_zeroes_may_unmap = 1;
}

void blk_config_set_capacity(struct virtio_blk *blk)
{
	blk->config.capacity = htole64(blk->disk.size / SECTOR);
}

bool blk_config_can_have(const struct virtio_blk *blk, uint32_t block_size)
{
	return block_size >= blk->disk.block_size &&
	       block_size <= BLK_BLOCK_MAX &&
	       (block_size & (block_size - 1)) == 0;
}

void blk_config_set_block_size(struct virtio_blk *blk, uint32_t block_size)
{
	blk->disk.block_size = block_size;
	blk->disk.size -= blk->disk.size % block_size;
	blk_config_fill(blk);
}

void blk_config_fill(struct virtio_blk *blk)
{
	struct virtio_blk_config *config = &blk->config;

	*config = (struct virtio_blk_config){ 0 };
	blk->state.block_size = blk->disk.block_size;
	blk_config_set_capacity(blk);
	config->seg_max = htole32(CHAIN_IOV_MAX - 2); /* header and status */
	config->blk_size = htole32(blk->disk.block_size);
	config->num_queues = htole16((uint16_t)blk->dev.queue_count);
	fill_topology(blk);
	if (!blk->disk.readonly)
		fill_zeroing(blk);
	blk->dev.config = config;
	blk->dev.config_size = sizeof(*config);
	blk->dev.state = &blk->state;
	blk->dev.state_size = sizeof(blk->state);
}
