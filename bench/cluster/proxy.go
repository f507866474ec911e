package cluster

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

// link is a proxy in this process for the connections that one process of the cluster opens to another.
type link struct {
	From, To string
	Listen   net.Listener
	Target   string
	Control  chan setting
	Short    chan<- error // what this machine lacks for its connections; what nobody has taken yet is enough
}

// gates are the directions that a link lets through. Bytes before a closed gate are held, as in a network that loses
// packets, and pass when it opens.
type gates struct {
	There, Back bool // from the one who opened the connection, and to it
	Refuse      bool // connections are closed, and new ones too
}

// setting tells a link to set its gates; Done is closed when they are set.
type setting struct {
	Gates gates
	Done  chan struct{}
}

// setLink sets a link's gates: what is sent after it meets them.
func setLink(l link, g gates) {
	done := make(chan struct{})
	l.Control <- setting{g, done}
	<-done
}

// openGates lets everything through.
var openGates = gates{There: true, Back: true}

// throughProxies returns a plan in which every connection between two processes goes through a link of its own, and the
// links.
func throughProxies(p Plan, short chan<- error) (Plan, []link, error) {
	links := []link{}
	names := append(slices.Clone(p.Names), "gateway")
	for _, from := range names {
		entries := []string{}
		for k, to := range p.Names {
			addr := p.Addrs[k]
			if from != to {
				listen, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					return p, links, fmt.Errorf("%w: a proxy: %w", ErrPlan, err)
				}
				addr = listen.Addr().String()
				links = append(links, link{from, to, listen, p.Addrs[k], make(chan setting), short})
			}
			entries = append(entries, to+"="+addr)
		}
		p.Lists = append(p.Lists, strings.Join(entries, ","))
	}
	return p, links, nil
}

// pair is one connection through a link: the one that was accepted, and the one that was opened for it.
type pair struct {
	near, far   net.Conn
	there, back chan bool // whether its gates are open; the newest counts
}

// runLink is a link's loop: it owns the gates and the connections, until its control is closed.
func runLink(l link) {
	accepted, ended := make(chan net.Conn), make(chan pair)
	go acceptLink(l.Listen, accepted, l.Short)
	now, pairs := openGates, []pair{}
	for {
		select {
		case near, more := <-accepted:
			if !more {
				accepted = nil
				continue
			}
			if now.Refuse {
				sever(near)
				continue
			}
			c := pair{near: near, there: make(chan bool, 1), back: make(chan bool, 1)}
			c.there <- now.There
			c.back <- now.Back
			pairs = append(pairs, c)
			go runPair(c, l.Target, ended, l.Short)
		case next, more := <-l.Control:
			if now = next.Gates; !more {
				l.Listen.Close()
				now = gates{Refuse: true}
			}
			for _, c := range pairs {
				if now.Refuse {
					sever(c.near)
				}
				swap(c.there, now.There || now.Refuse)
				swap(c.back, now.Back || now.Refuse)
			}
			if !more {
				return
			}
			close(next.Done)
		case c := <-ended:
			pairs = slices.DeleteFunc(pairs, func(other pair) bool { return other.near == c.near })
		}
	}
}

// swap replaces the value in a channel that was not taken yet. Only one goroutine puts values there.
func swap(newest chan bool, value bool) {
	select {
	case <-newest:
	default:
	}
	newest <- value
}

// sever closes a connection at once, with a reset.
func sever(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // it closes without a reset then
	}
	_ = conn.Close()
}

// lacked reports an error of a proxy if this machine itself is to blame for it.
func lacked(err error, short chan<- error) {
	if Blame(err) != OfGenerator {
		return
	}
	select {
	case short <- fmt.Errorf("%w: a proxy of the cluster: %w", ErrOwn, err):
	default:
	}
}

// acceptLink accepts connections until the listener is closed. One that this machine cannot take does not end the
// others.
func acceptLink(listen net.Listener, accepted chan<- net.Conn, short chan<- error) {
	defer close(accepted)
	for {
		conn, err := listen.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			lacked(err, short)
			time.Sleep(tryAgain)
			continue
		}
		select {
		case accepted <- conn:
		case <-time.After(time.Second): // nobody is there any more
			conn.Close()
			return
		}
	}
}

// runPair carries bytes both ways until either side is closed, and says when it is over.
func runPair(c pair, target string, ended chan<- pair, short chan<- error) {
	far, err := net.DialTimeout("tcp", target, time.Second)
	if err == nil {
		c.far = far
		over := make(chan struct{}, 2)
		go pump(c.near, c.far, c.there, over)
		go pump(c.far, c.near, c.back, over)
		<-over
		<-over
	} else {
		lacked(err, short)
		sever(c.near)
	}
	select {
	case ended <- c:
	case <-time.After(time.Second): // the link has ended
	}
}

// pump carries bytes one way as long as its gate is open. What it has read before a closed gate it holds.
func pump(from, to net.Conn, gate <-chan bool, over chan<- struct{}) {
	open, buffer := <-gate, make([]byte, 64<<10)
	var err error
	for err == nil {
		var n int
		n, err = from.Read(buffer)
		select {
		case open = <-gate:
		default:
		}
		for !open {
			open = <-gate
		}
		if n > 0 {
			if _, bad := to.Write(buffer[:n]); bad != nil {
				err = bad
			}
		}
	}
	sever(from) // whatever the other direction holds is lost with the connection
	sever(to)
	over <- struct{}{}
}

// isCut says whether one of the cuts holds the bytes from one process to another.
func isCut(cuts []Step, from, to string) bool {
	for _, c := range cuts {
		others := func(name string) bool {
			return c.Other == name || c.Other == "all" || c.Other == "peers" && name != "gateway"
		}
		if c.Node == from && others(to) || !c.OneWay && c.Node == to && others(from) {
			return true
		}
	}
	return false
}

// gatesOf returns the gates of a link under some cuts.
func gatesOf(l link, cuts []Step) gates {
	refused := slices.DeleteFunc(slices.Clone(cuts), func(s Step) bool { return s.Kind != FaultRefuse })
	return gates{There: !isCut(cuts, l.From, l.To), Back: !isCut(cuts, l.To, l.From), Refuse: isCut(refused, l.From, l.To)}
}
