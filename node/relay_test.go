package main

import (
	"reflect"
	"testing"
	"time"

	"tandem/shard"
	"tandem/shard/replica"
	"tandem/wire"
	"tandem/wire/proc"
)

// relayRig is a relay loop without a link: what it sends is in the link's queue.
func relayRig(t *testing.T) (*wiring, *conn) {
	link := &linkHandle{Out: make(chan []outbound, 4), Relays: make(chan relay), RelayEvents: make(chan relayEvent)}
	wiring := &wiring{Node: Node{Members: []member{{Name: "db-0"}, {Name: "db-1"}}},
		Peers: Peers{Links: []*linkHandle{nil, link}}}
	go runRelay(&wiring.Node, &wiring.Handles, &wiring.Peers, 1)
	return wiring, &conn{Out: make(chan answers, 8)}
}

// told returns the next frame for a connection.
func told(t *testing.T, conn *conn) *wire.Message {
	t.Helper()
	select {
	case a := <-conn.Out:
		return a.Message
	case <-time.After(20 * time.Second):
		t.Fatal("no answer")
		return nil
	}
}

// TestWhatIsPassedOn: the leader gets the request under an id of the link and with a deadline on its own clock, the
// asker its answer under its own id.
func TestWhatIsPassedOn(t *testing.T) {
	wiring, conn := relayRig(t)
	link := wiring.Links[1]
	asked := &replica.Event{Kind: replica.WriteAsked, Shard: 3, Caller: &caller{conn, 77}, Deadline: 1000,
		Change: shard.Change{Op: shard.Update, Request: [16]byte{9}, ID: "a", Name: "n", Email: "e",
			Group: 4, Fields: shard.HasName, Match: shard.Condition{Kind: shard.OneOf,
				Versions: []shard.Position{{Epoch: 1, LSN: 2}}}, Unless: shard.Condition{Kind: shard.AnyVersion}}}
	link.Relays <- relay{1, asked}
	if m := told(t, conn); m.Kind != wire.Error || m.Code != wire.NotLeader || m.ID != 77 || len(link.Out) != 0 {
		t.Fatalf("without a stream: %+v", m)
	}
	link.RelayEvents <- relayEvent{Kind: streamBegins, Stream: 1, Offset: 5000}
	link.Relays <- relay{1, asked}
	sent := (<-link.Out)[0]
	m := sent.Message
	if sent.Stream != 1 || m.Kind != wire.Write || m.ID == 0 || m.Shard != 3 || m.Deadline != 6000 ||
		m.Request != asked.Change.Request || !reflect.DeepEqual(takeChange(m), asked.Change) {
		t.Fatalf("sent: %+v", sent)
	}
	// nobody's
	link.RelayEvents <- relayEvent{Kind: answerCame, Answer: &wire.Message{Kind: wire.Outcome, ID: m.ID + 1}}
	link.RelayEvents <- relayEvent{Kind: answerCame, Answer: &wire.Message{Kind: wire.Outcome, ID: m.ID,
		Result:  wire.Found,
		Touched: 1}}
	if a := told(t, conn); a.ID != 77 || a.Result != wire.Found || a.Touched != 2 {
		t.Errorf("answer: %+v", a)
	}
}

// TestWhatIsLostOnTheWay: when the connection breaks, a write may have left. The asker is told so, not that it was
// refused.
func TestWhatIsLostOnTheWay(t *testing.T) {
	wiring, conn := relayRig(t)
	link := wiring.Links[1]
	link.RelayEvents <- relayEvent{Kind: streamBegins, Stream: 4}
	link.Relays <- relay{4, &replica.Event{Kind: replica.WriteAsked, Caller: &caller{conn, 5}}}
	<-link.Out
	link.RelayEvents <- relayEvent{Kind: streamOver}
	if m := told(t, conn); m.Kind != wire.Error || m.Code != wire.AnswerLost || m.ID != 5 {
		t.Errorf("%+v", m)
	}
	link.Relays <- relay{4, &replica.Event{Kind: replica.GetAsked, Caller: &caller{conn, 6}}}
	if m := told(t, conn); m.Code != wire.NotLeader || m.ID != 6 || len(link.Out) != 0 {
		t.Errorf("of a stream that is over: %+v", m)
	}
}

// TestNotTooMuchIsPassedOn: the list of those that wait is bounded, and so is the link's queue.
func TestNotTooMuchIsPassedOn(t *testing.T) {
	wiring, conn := relayRig(t)
	link := wiring.Links[1]
	link.RelayEvents <- relayEvent{Kind: streamBegins, Stream: 1}
	for range cap(link.Out) {
		link.Relays <- relay{1, &replica.Event{Kind: replica.GetAsked, Caller: &caller{conn, 1}}}
	}
	link.Relays <- relay{1, &replica.Event{Kind: replica.GetAsked, Caller: &caller{conn, 2}}}
	if m := told(t, conn); m.Code != wire.Busy || m.ID != 2 {
		t.Fatalf("a full queue: %+v", m)
	}
	for n := cap(link.Out); n < relayMost; n++ {
		<-link.Out
		link.Relays <- relay{1, &replica.Event{Kind: replica.GetAsked, Caller: &caller{conn, 1}}}
	}
	<-link.Out
	link.Relays <- relay{1, &replica.Event{Kind: replica.GetAsked, Caller: &caller{conn, 3}}}
	if m := told(t, conn); m.Code != wire.Busy || m.ID != 3 {
		t.Errorf("too many wait: %+v", m)
	}
}

// TestWhatALeaderThatHangsKeeps: a write's answer is given up when its deadline is over, on the next word of the peer's
// clock; a late clock of a stream that is over begins nothing.
func TestWhatALeaderThatHangsKeeps(t *testing.T) {
	wiring, conn := relayRig(t)
	link := wiring.Links[1]
	link.RelayEvents <- relayEvent{Kind: streamBegins, Stream: 1}
	link.Relays <- relay{1, &replica.Event{Kind: replica.WriteAsked, Caller: &caller{conn, 5},
		Deadline: proc.Clock() + int64(time.Hour)}}
	link.Relays <- relay{1, &replica.Event{Kind: replica.WriteAsked, Caller: &caller{conn, 6}, Deadline: proc.Clock() - 1}}
	link.Relays <- relay{1, &replica.Event{Kind: replica.GetAsked, Caller: &caller{conn, 7}}}
	link.RelayEvents <- relayEvent{Kind: clockRead, Stream: 1, Offset: 1}
	if m := told(t, conn); m.Code != wire.AnswerLost || m.ID != 6 {
		t.Errorf("%+v", m)
	}
	link.RelayEvents <- relayEvent{Kind: streamOver}
	for range 2 {
		if m := told(t, conn); m.Code != wire.AnswerLost || m.ID == 6 {
			t.Errorf("%+v", m)
		}
	}
	link.RelayEvents <- relayEvent{Kind: clockRead, Stream: 1, Offset: 1}
	link.Relays <- relay{1, &replica.Event{Kind: replica.GetAsked, Caller: &caller{conn, 8}}}
	if m := told(t, conn); m.Code != wire.NotLeader || m.ID != 8 {
		t.Errorf("%+v", m)
	}
}

// TestWhatANewLeaderTakesBack: requests for its shard go to its own replica again.
func TestWhatANewLeaderTakesBack(t *testing.T) {
	wiring, conn := relayRig(t)
	link, handle := wiring.Links[1], &replicaHandle{In: make(chan []*replica.Event, 1)}
	wiring.Loops, wiring.ByShard = []*replicaHandle{handle}, []*replicaHandle{handle, handle}
	mine := &replica.Event{Kind: replica.WriteAsked, Shard: 1, Caller: &caller{conn, 5}}
	link.RelayEvents <- relayEvent{Kind: streamBegins, Stream: 1}
	link.Relays <- relay{1, mine}
	link.Relays <- relay{1, &replica.Event{Kind: replica.GetAsked, Shard: 0, Caller: &caller{conn, 6}}}
	link.RelayEvents <- relayEvent{Kind: leadsHere, Shard: 1}
	if events := <-handle.In; len(events) != 1 || events[0] != mine {
		t.Errorf("%+v", events)
	}
	link.RelayEvents <- relayEvent{Kind: streamOver}
	if m := told(t, conn); m.Code != wire.AnswerLost || m.ID != 6 || len(conn.Out) != 0 {
		t.Errorf("%+v", m)
	}
}
