"""Traffic between the host and an instance."""

import json

from comparison.session import FromHost, Load, LoadDimension

SERVERS = ("iperf3 --server --daemon --logfile /dev/null",
           "/bench/netload serve >/dev/null 2>&1 </dev/null &")


def iperf3(streams, *more):
    def words(scale, address):
        length = ["--time", str(scale.ms // 1000)]
        if scale.ms < 1000:
            # of all streams together
            length = ["--bytes", f"{max(1, scale.ms // 3)}M"]
        return ["iperf3", "--client", address, "--json", "--parallel",
                str(streams), *length, *more]
    return FromHost(words)


def rate(output):
    received = json.loads(output)["end"]["sum_received"]
    return received["bits_per_second"] / 1e6


def netload(what, divisor=1):
    return FromHost(lambda scale, address: [
        "/bench/netload", what, address,
        str(max(3, (scale.ms + 60) // divisor))])


class Network(LoadDimension):
    key = "network"
    title = "Network"
    text = ("Between the host and the instance, whose link is its own: a pair "
            "of veth for processes and containers, a tap for VMs; no bridge, "
            "no address translation, the same MTU of 1500. iperf3 with 1 and "
            "10 streams; one byte to and fro over one TCP connection; ping.")
    net = True
    loads = (
        Load("network.tcp_to.1", "TCP to it, 1 stream", "Mbit/s", "more",
             iperf3(1), rate),
        Load("network.tcp_to.10", "TCP to it, 10 streams", "Mbit/s", "more",
             iperf3(10), rate),
        Load("network.tcp_from.1", "TCP from it, 1 stream", "Mbit/s", "more",
             iperf3(1, "--reverse"), rate),
        Load("network.tcp_from.10", "TCP from it, 10 streams", "Mbit/s",
             "more", iperf3(10, "--reverse"), rate),
        Load("network.rr", "TCP request and response", "1/s", "more",
             netload("rr"), lambda output: float(output.split()[0])),
        Load("network.ping", "ping", "us", "less", netload("ping", 10),
             lambda output: float(output.split()[0])))

    def before(self, session, instance):
        for line in SERVERS:
            instance.run(line)
        wait_for_port(instance, 5201)
        wait_for_port(instance, 7100)


def wait_for_port(instance, port):
    """Until somebody listens: by the kernel's list, so as not to connect."""
    listens = f"grep -q ':{port:04X} .* 0A ' /proc/net/tcp /proc/net/tcp6"
    instance.run(f"for i in $(seq 100); do {listens} && break; sleep 0.05; "
                 f"done; {listens}")


DIMENSION = Network
