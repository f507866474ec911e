package sim

import (
	"tandem/shard"
	"tandem/shard/lease"
	"tandem/shard/replica"
	"tandem/shard/views"
)

// simStream is a connection that one node dialled to another; what is sent in one direction arrives in order.
type simStream struct {
	number    uint64
	from, to  *simNode
	processes [2]int
	broken    bool
	lastWord  bool     // what is on its way to the dialler when it breaks still arrives there
	limbo     int64    // once broken: nothing arrives before
	due       [2]int64 // by direction: when the last frame arrives
	held      [2][]func()
	relays    []*simRelay
}

// dial keeps a connection from a node to a peer: it tries, and looks whether the one that stands is silent.
func (w *simWorld) dial(n *simNode, peer int) {
	p, s := w.nodes[peer], n.links[peer]
	cut := w.cut[n.number][peer] || w.cut[peer][n.number]
	switch {
	case s == nil && !cut && p.up && !p.paused && !w.fit(n, p):
		w.seen["lease times: a greeting is refused"]++
	case s == nil && !cut && p.up && !p.paused:
		w.streams++
		s = &simStream{number: w.streams, from: n, to: p, processes: [2]int{n.process, p.process}, lastWord: w.chance(w.plan.lastWord)}
		n.links[peer] = s
		w.stepService(n, &views.Event{Kind: views.PeerGreeted, To: peer, Start: views.KnownStart(p.service,
			n.member)})
		w.streamEvent(n, peer, replica.StreamUp, s.number)
		w.join(s)
	case s != nil && (cut || !p.up || p.paused) && w.chance(25): // after 60 ms or so
		w.sever(s)
	}
	w.on(n, 5*ms+w.delay(15*ms), func() { w.dial(n, peer) })
}

// join says hello for as long as a connection stands: a store that is no member becomes one.
func (w *simWorld) join(s *simStream) {
	if s.broken || s.from.process != s.processes[0] {
		return
	}
	member := s.from.member
	w.carry(s, 0, func() {
		w.stepService(s.to, &views.Event{Kind: views.JoinAsked, Member: member, Start: s.from.start})
	})
	if s.from.stores > 1 || shard.GenerationOf(s.from.member) > 0 {
		w.on(s.from, 200*ms, func() { w.join(s) })
	}
}

// streamEvent tells the replicas that are shared with a peer, and the lease session, of a stream.
func (w *simWorld) streamEvent(n *simNode, peer int, kind replica.EventKind, number uint64) {
	for s := range n.replicas {
		if n.replicas[s] != nil && w.peerOf(n, s) == peer {
			w.step(n, &replica.Event{Kind: kind, Shard: s, Stream: number})
		}
	}
	if kind == replica.StreamDown {
		w.stepSession(n, peer, &lease.Event{Kind: lease.LinkBroken})
	}
}

// sever breaks a connection. What is on its way to the acceptor still arrives, and now and then what is on its way to
// the dialler.
func (w *simWorld) sever(s *simStream) {
	if s.broken {
		return
	}
	s.broken = true
	if w.chance(w.plan.lastWord) {
		s.limbo = w.now + w.delay(1000*ms)
	}
	w.note("stream %d from node %d to node %d breaks", s.number, s.from.number, s.to.number)
	n, peer := s.from, s.to.number
	w.on(n, w.delay(ms), func() {
		if n.links[peer] == s {
			n.links[peer] = nil
			w.lose(s)
			w.stepService(n, &views.Event{Kind: views.PeerParted, To: peer})
			w.streamEvent(n, peer, replica.StreamDown, s.number)
		}
	})
}

// carry delivers something over a stream: direction 0 to the acceptor, 1 to the dialler. While the direction is cut it
// is held back.
func (w *simWorld) carry(s *simStream, direction int, run func()) {
	ends := [2]*simNode{s.from, s.to}
	sender, receiver := ends[direction], ends[1-direction]
	process := s.processes[1-direction]
	deliver := func() {
		switch {
		case receiver.process != process, sender.lost > 0 && s.processes[direction] <= sender.lost, direction == 1 && s.broken &&
			!s.lastWord:
			return
		case s.broken:
			w.seen["network: frame of a broken connection"]++
			if w.now < s.limbo { // what was under way comes far too late, in its order
				w.on(receiver, s.limbo-w.now, run)
				return
			}
		}
		run()
	}
	if w.cut[sender.number][receiver.number] {
		s.held[direction] = append(s.held[direction], deliver)
		return
	}
	late := 2*ms + w.slow[sender.number][receiver.number]
	if w.chance(1) && !w.plan.single {
		late = w.plan.late
	}
	s.due[direction] = max(s.due[direction]+1, w.now+w.delay(late))
	w.on(receiver, s.due[direction]-w.now, deliver)
}

// mend ends all cuts: what was held back arrives in its order, unless its connection broke meanwhile.
func (w *simWorld) mend() {
	for i := range w.cut {
		clear(w.cut[i])
	}
	for _, n := range w.nodes {
		for _, s := range n.links {
			if s == nil {
				continue
			}
			for direction, list := range s.held {
				s.held[direction] = nil
				for _, deliver := range list {
					w.carry(s, direction, deliver)
				}
			}
		}
	}
}

func (w *simWorld) toBackup(n *simNode, peer int, number uint64, e replica.Event) {
	s := n.links[peer]
	if s == nil || s.number != number || s.broken {
		return
	}
	e.Caller = s
	w.carry(s, 0, func() { w.step(s.to, &e) })
}

func (w *simWorld) toLeader(s *simStream, e replica.Event) {
	e.Stream = s.number
	w.carry(s, 1, func() { w.step(s.from, &e) })
}

// lossy sends by a lane on which messages are lost and doubled.
func (w *simWorld) lossy(s *simStream, direction int, run func()) {
	if w.plan.lossy > 0 && w.chance(w.plan.lossy) {
		return
	}
	w.carry(s, direction, run)
	if w.plan.lossy > 0 && w.chance(w.plan.lossy) {
		w.carry(s, direction, run)
	}
}

func (w *simWorld) ping(n *simNode, peer int, e lease.Event) {
	s := n.links[peer]
	if s == nil || s.broken {
		return
	}
	w.lossy(s, 0, func() { p := e; w.stepSessionOn(s.to, n.number, s, &p) })
}

func (w *simWorld) pong(n *simNode, s *simStream, e lease.Event) {
	w.lossy(s, 1, func() { p := e; w.stepSession(s.from, n.number, &p) })
}

func (w *simWorld) mail(n *simNode, peer int, data []byte) {
	s := n.links[peer]
	if s == nil || s.broken {
		return
	}
	w.lossy(s, 0, func() { w.stepService(s.to, &views.Event{Kind: views.MessageReceived, Data: data}) })
}
