package proc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// ErrName is the class of a name that stands for no address, as far as is known.
var ErrName = errors.New("no address")

// Lookup returns the addresses that a name stands for.
type Lookup func(ctx context.Context, name string) ([]netip.Addr, error)

// Names is where the addresses of one peer are asked for. A look-up has a time of its own, in the background; a dial
// never waits for it once an address is known.
type Names struct {
	host, port string
	lookup     Lookup
	asks       chan chan<- choice
	dials      chan dialled
}

// choice is the address to dial, or why there is none.
type choice struct {
	at  netip.Addr
	err error
}

// dialled is what came of a dial.
type dialled struct {
	at  netip.Addr
	err error
}

// found is the outcome of a look-up.
type found struct {
	number int
	addrs  []netip.Addr
	err    error
}

// NewNames makes the channels for a peer at an address, host:port. RunNames answers them. What is no name is dialled as
// it is.
func NewNames(address string, lookup Lookup) Names {
	host, port, err := net.SplitHostPort(address)
	_, literal := netip.ParseAddr(host)
	if err != nil || host == "" || literal == nil {
		return Names{host: address}
	}
	return Names{host, port, lookup, make(chan chan<- choice), make(chan dialled)}
}

// AskNameServer is the look-up of processes. Each has a resolver of its own: those that share one wait for the same
// question, which nobody can give up while a name server does not answer, although it would answer the next one. It is
// Go's own, since that of the C library cannot be given up.
func AskNameServer(ctx context.Context, name string) ([]netip.Addr, error) {
	resolver := net.Resolver{PreferGo: true, Dial: net.DefaultResolver.Dial}
	return resolver.LookupNetIP(ctx, "ip", name)
}

// Next returns the address to dial next. While none is known it waits for one, at most for a time. Error: ErrName.
func (n Names) Next(patience time.Duration) (string, error) {
	if n.asks == nil {
		return n.host, nil
	}
	reply := make(chan choice, 1)
	n.asks <- reply
	select {
	case c := <-reply:
		if c.err != nil {
			return "", fmt.Errorf("%w: %w", ErrName, c.err)
		}
		return net.JoinHostPort(c.at.String(), n.port), nil
	case <-time.After(patience):
		return "", fmt.Errorf("%w: %s is being looked up", ErrName, n.host)
	}
}

// Tell says what came of a dial to an address that Next has returned: nil only if the right peer answered there.
func (n Names) Tell(address string, err error) {
	host, _, _ := net.SplitHostPort(address)
	at, bad := netip.ParseAddr(host)
	if n.dials != nil && bad == nil {
		n.dials <- dialled{at, err}
	}
}

// RunNames is the loop that knows the addresses of a peer. It waits for no name server.
func RunNames(n Names) {
	if n.asks == nil {
		return
	}
	r, waiting, results := route{}, []chan<- choice(nil), make(chan found, lookupsMost)
	ticks := time.NewTicker(refresh / 4)
	defer ticks.Stop()
	for {
		if now := time.Now(); due(r, now) {
			r = begin(r, now)
			go look(n, r.Begun, results)
		}
		if at, known := pick(r); known || r.Err != nil {
			for _, reply := range waiting {
				if known {
					reply <- choice{at: at}
				} else {
					reply <- choice{err: r.Err}
				}
			}
			waiting = nil
		}
		select {
		case reply := <-n.asks:
			waiting = append(waiting, reply)
		case d := <-n.dials:
			r = noteDial(r, d.at, d.err)
		case f := <-results:
			r = noteLookup(r, f.number, f.addrs, f.err)
		case <-ticks.C:
		}
	}
}

// look looks a name up once.
func look(n Names, number int, out chan<- found) {
	ctx, cancel := context.WithTimeout(context.Background(), lookupFor)
	defer cancel()
	addrs, err := n.lookup(ctx, n.host)
	if err == nil && len(addrs) == 0 {
		err = fmt.Errorf("%w: %s", ErrName, n.host)
	}
	out <- found{number, addrs, err}
}
