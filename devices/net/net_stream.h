/* A stream socket as a back end of virtio-net, in the format of passt and of
 * QEMU's -netdev stream: before each Ethernet frame stands its length, 32 bits,
 * big-endian. There is no virtio-net header, so there are no offloads.
 *
 * One call receives many frames into a buffer, and they are copied from there.
 * So the guest never sees a part of a frame, and a reset of the device does not
 * cut one in the stream. For the same reason, the stream keeps the bytes of a
 * frame that the socket did not take. Each buffer has room for the longest
 * frame. A length that no frame can have shows that the two ends disagree where
 * frames begin: the back end is gone then.
 */
#pragma once

#include "base/error.h"
#include "devices/net/net_backend.h"

struct net_stream;

/* Makes a back end of a connected stream socket, which may block or not. fd is
 * taken over, also on failure. name is for messages ("passt") and outlives the
 * stream. NULL with err set when there is no memory. */
struct net_stream *net_stream_create(int fd, const char *name,
				     struct error *err);
struct net_backend *net_stream_backend(struct net_stream *stream);

/* NULL is fine. */
void net_stream_destroy(struct net_stream *stream);
