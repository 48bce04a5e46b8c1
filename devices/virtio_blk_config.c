#include <endian.h>

#include "devices/virtio_blk_device.h"

uint64_t blk_features(const struct virtio_blk *blk)
{
	uint64_t features = 1ULL << VIRTIO_BLK_F_SEG_MAX |
			    1ULL << VIRTIO_BLK_F_BLK_SIZE |
			    1ULL << VIRTIO_BLK_F_FLUSH;

	if (blk->disk.readonly)
		features |= 1ULL << VIRTIO_BLK_F_RO;
	return features;
}

void blk_config_fill(struct virtio_blk *blk)
{
	struct virtio_blk_config *config = &blk->config;

	config->capacity = htole64(blk->disk.size / SECTOR);
	config->seg_max = htole32(CHAIN_IOV_MAX - 2); /* header and status */
	config->blk_size = htole32(blk->disk.block_size);
	blk->dev.config = config;
	blk->dev.config_size = sizeof(*config);
}
