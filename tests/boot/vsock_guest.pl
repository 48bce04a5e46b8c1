# What the tests of vsock run in a guest; perl is all that a small Debian has.
#
#   vsock_guest.pl echo PORT       listens, and sends what comes back until it
#                                  ends, each connection by a process
#   vsock_guest.pl dial PORT N     the same for N connections to the host
#   vsock_guest.pl ask PORT TEXT   sends TEXT to the host and its end, and prints
#                                  what comes until the end
#   vsock_guest.pl pour PORT       sends to the host for as long as it takes it
use strict;
use warnings;
use Socket;

my ($mode, $port, $arg) = @ARGV;

# struct sockaddr_vm of linux/vm_sockets.h
sub address {
    my ($cid) = @_;
    return pack("SSLLx4", 40, 0, $port, $cid);
}

sub new_socket {
    socket(my $socket, 40, SOCK_STREAM, 0) or die "socket: $!\n";
    return $socket;
}

sub dial {
    my $socket = new_socket();
    connect($socket, address(2)) or die "connect: $!\n";
    return $socket;
}

sub send_all {
    my ($socket, $data) = @_;
    my $at = 0;
    while ($at < length $data) {
        my $sent = syswrite($socket, $data, length($data) - $at, $at);
        die "write: $!\n" unless defined $sent;
        $at += $sent;
    }
}

sub echo {
    my ($socket) = @_;
    while (1) {
        my $got = sysread($socket, my $data, 65536);
        die "read: $!\n" unless defined $got;
        last unless $got;
        send_all($socket, $data);
    }
    exit 0;
}

sub in_child {
    my ($socket) = @_;
    my $child = fork;
    die "fork: $!\n" unless defined $child;
    echo($socket) unless $child;
    close $socket;
}

$SIG{PIPE} = 'IGNORE';
$| = 1;
if ($mode eq 'echo') {
    $SIG{CHLD} = 'IGNORE';
    my $listener = new_socket();
    bind($listener, address(0xffffffff)) or die "bind: $!\n";
    listen($listener, 128) or die "listen: $!\n";
    print "listening\n";
    while (accept(my $socket, $listener)) {
        in_child($socket);
    }
    die "accept: $!\n";
} elsif ($mode eq 'dial') {
    my @sockets = map { dial() } 1 .. $arg;
    in_child($_) for @sockets;
    undef @sockets;
    1 while wait() > 0;
} elsif ($mode eq 'ask') {
    my $socket = dial();
    send_all($socket, $arg);
    shutdown($socket, 1) or die "shutdown: $!\n";
    print while sysread($socket, $_, 65536);
} elsif ($mode eq 'pour') {
    my $socket = dial();
    send_all($socket, "x" x 65536) while 1;
}
