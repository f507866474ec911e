package proc

import (
	"fmt"
	"net"
	"net/netip"
)

// Reach returns the address by which a process on this machine reaches one that listens at an address: the same, or
// loopback where it listens on all addresses. Error: when it is no host and port.
func Reach(listen string) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", fmt.Errorf("expected host:port: %w", err)
	}
	ip, bad := netip.ParseAddr(host)
	switch {
	case bad == nil && ip.IsUnspecified() && ip.Is4():
		host = "127.0.0.1"
	case host == "", bad == nil && ip.IsUnspecified(): // of either family
		host = "localhost"
	}
	return net.JoinHostPort(host, port), nil
}

// Listen listens at an address, host:port. Its error says what to look for.
func Listen(address string) (net.Listener, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s (is another process there?): %w", address, err)
	}
	return listener, nil
}
