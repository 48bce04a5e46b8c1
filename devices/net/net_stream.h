/* A stream socket as a back end of virtio-net, as passt and QEMU's -netdev
 * stream speak it: each Ethernet frame stands behind its length in 32 bits,
 * big-endian. There is no virtio-net header, and so there are no offloads.
 *
 * Frames are read ahead into a buffer, many with one call, and copied from
 * there: so a frame that came in part is none of the guest's business, and a
 * reset in the midst of one loses no step. What the socket does not take of a
 * frame that is sent is kept for the same reason. Both buffers hold one frame
 * of the longest kind at least. A length that no frame has means that the step
 * is lost, and the stream with it.
 */
#pragma once

#include "base/error.h"
#include "devices/net/net_backend.h"

struct net_stream;

/* A back end on a connected stream socket, whatever its blocking mode; name is
 * for messages ("passt") and outlives it. fd becomes the stream's in any case.
 * NULL with err set without memory. */
struct net_stream *net_stream_create(int fd, const char *name,
				     struct error *err);
struct net_backend *net_stream_backend(struct net_stream *stream);

/* NULL is fine. */
void net_stream_destroy(struct net_stream *stream);
