package main

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tandem/shard"
	"tandem/wire"
	"tandem/wire/proc"
)

// writesSeen returns the writes that the nodes were sent.
func writesSeen(r *rig) []*wire.Message {
	all := []*wire.Message{}
	for _, n := range r.nodes {
		for _, m := range n.saw() {
			if m.Kind == wire.Write {
				all = append(all, m)
			}
		}
	}
	return all
}

// once applies a verdict to the first write only.
func once(v verdict, applied func(m *wire.Message)) hook {
	var done atomic.Bool // both connections ask
	return func(m *wire.Message) (verdict, *wire.Message) {
		if m.Kind != wire.Write || done.Swap(true) {
			return answer, nil
		}
		applied(m)
		return v, &wire.Message{Kind: wire.Error, Code: wire.NotLeader, Text: "db-9 leads the shard"}
	}
}

// TestAWriteIsRepeatedUnderItsRequestID: whatever becomes of the first try, done or not, the second is the same
// request.
func TestAWriteIsRepeatedUnderItsRequestID(t *testing.T) {
	for name, c := range map[string]struct {
		what verdict
		done bool // the first try is carried out, and its answer lost
	}{"broken": {hangUp, false}, "broken when done": {hangUp, true}, "silent": {silent, false},
		"silent when done": {silent, true}, "not leader": {refuse, false}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, ample, 200*time.Millisecond)
			id := r.idLedBy(1, "w")
			r.nodes[1].set(once(c.what, func(m *wire.Message) {
				if c.done {
					r.store.answer("db-1", m)
				}
			}))
			got := r.must(201, "POST", "/api/user/", `{"id":"`+id+`","name":"n","email":"e","group":1}`)
			writes := writesSeen(r)
			if len(writes) < 2 || got.header.Get("ETag") != `"1-1"` {
				t.Fatalf("%d writes, ETag %s", len(writes), got.header.Get("ETag"))
			}
			for _, m := range writes {
				if m.Request != writes[0].Request || m.Request == (wire.RequestID{}) {
					t.Errorf("request ids %x and %x", writes[0].Request, m.Request)
				}
			}
		})
	}
}

// TestDeadlinesAreInTheNodesClock: translated on each connection, and never later than when the gateway gives the try
// up.
func TestDeadlinesAreInTheNodesClock(t *testing.T) {
	r := newRig(t, ample, ample/2)
	before := proc.Clock()
	r.must(201, "POST", "/api/user/", ada)
	after := proc.Clock()
	deadline := writesSeen(r)[0].Deadline - aheadBy
	if deadline > after+int64(ample/2) || deadline < before+int64(ample/2)-int64(time.Second) {
		t.Errorf("the deadline is %v behind the request's begin", time.Duration(deadline-before))
	}
}

func TestARefusalThatLastsIsTheReason(t *testing.T) {
	r := newRig(t, time.Second, 400*time.Millisecond)
	id := r.idLedBy(2, "w")
	for code, text := range map[wire.Code]string{wire.Unavailable: "the backup db-0 cannot be reached",
		wire.Disk: "no space left on device", wire.Busy: "too many"} {
		r.nodes[2].set(func(*wire.Message) (verdict, *wire.Message) {
			return refuse, &wire.Message{Kind: wire.Error, Code: code, Text: text}
		})
		got := r.must(503, "PUT", "/api/user/", `{"id":"`+id+`"}`)
		if !strings.Contains(got.body, text) || !strings.Contains(got.body, "db-2") {
			t.Errorf("code %d: %s names no reason or no node", code, got.body)
		}
		if tries := len(writesSeen(r)); tries < 2 || tries > 200 {
			t.Errorf("code %d: %d tries within the deadline", code, tries)
		}
	}
	r.nodes[2].set(func(*wire.Message) (verdict, *wire.Message) {
		return refuse, &wire.Message{Kind: wire.Error, Code: wire.BadRequest, Text: "expected something else"}
	})
	if got := r.must(500, "GET", "/api/user/"+id, ""); !strings.Contains(got.body, "expected something else") {
		t.Errorf("%s", got.body)
	}
}

func TestWhatA503SaysOfAWrite(t *testing.T) {
	r := newRig(t, 500*time.Millisecond, 200*time.Millisecond)
	id := r.idLedBy(0, "w")
	r.nodes[0].set(func(*wire.Message) (verdict, *wire.Message) { return silent, nil })
	got := r.must(503, "DELETE", "/api/user/"+id, "")
	if !strings.Contains(got.body, "may have been done") || !strings.Contains(got.body, "db-0") ||
		!strings.Contains(got.body, errLate.Error()) {
		t.Errorf("a write that was sent: %s", got.body)
	}
	if got := r.must(503, "GET", "/api/user/"+id, ""); strings.Contains(got.body, "may have been done") {
		t.Errorf("a read: %s", got.body)
	}
	s, _ := shard.ShardOf(r.wiring.Layout, id)
	other := shard.InitialView(r.wiring.Layout, s).Backup
	for _, i := range []int{0, other} {
		r.nodes[i].stop()
		r.await(i, false)
	}
	got = r.must(503, "DELETE", "/api/user/"+id, "")
	named := strings.Contains(got.body, "db-0 ("+r.wiring.Members[0].Address+")") ||
		strings.Contains(got.body, r.wiring.Members[other].Address)
	if !named || !strings.Contains(got.body, "cannot be reached") || strings.Contains(got.body, "may have been done") {
		t.Errorf("a write that was never sent: %s", got.body)
	}
}

// TestALateAnswerCounts: a node whose every answer takes longer than a try still answers within the deadline.
func TestALateAnswerCounts(t *testing.T) {
	r := newRig(t, ample, 20*time.Millisecond)
	r.fill(50)
	slow := func(*wire.Message) (verdict, *wire.Message) {
		time.Sleep(60 * time.Millisecond)
		return answer, nil
	}
	for _, n := range r.nodes {
		n.set(slow)
	}
	r.must(200, "GET", "/api/user/u7", "")
	r.must(200, "PUT", "/api/user/", `{"id":"u7","group":1}`)
}

// TestADeadNodeBlocksNobody: neither one that is gone nor one that accepts and says nothing.
func TestADeadNodeBlocksNobody(t *testing.T) {
	r := newRig(t, time.Second, 50*time.Millisecond)
	dead, well := r.idLedBy(0, "d"), r.idLedBy(1, "w")
	r.nodes[0].set(func(*wire.Message) (verdict, *wire.Message) { return silent, nil })
	ended := make(chan int, 64)
	for range cap(ended) {
		go func() { ended <- r.ask("GET", "/api/user/"+dead, "").status }()
	}
	r.must(201, "POST", "/api/user/", `{"id":"`+well+`","name":"n","email":"e","group":1}`)
	for range 20 {
		r.must(200, "GET", "/api/user/"+well, "")
	}
	for range cap(ended) {
		if status := <-ended; status != 503 {
			t.Errorf("the silent node's user is answered %d", status)
		}
	}
	address := r.nodes[0].listener.Addr().String()
	r.nodes[0].stop()
	r.await(0, false)
	r.must(200, "GET", "/api/user/"+well, "")
	r.must(503, "GET", "/api/user/"+dead, "")
	r.nodes[0].set(nil)
	r.nodes[0].listen(t, address) // it comes back, and nobody has to say so
	r.await(0, true)
	r.must(404, "GET", "/api/user/"+dead, "")
}

func TestHealth(t *testing.T) {
	r := newRig(t, ample, ample/2)
	if got := r.must(200, "GET", "/healthz", ""); !strings.Contains(got.body, "db-2") ||
		!strings.Contains(got.body, `"shards_without_leader":0`) {
		t.Errorf("%s", got.body)
	}
	r.nodes[2].stop()
	r.await(2, false)
	if got := r.ask("GET", "/healthz", ""); got.status != 503 || !strings.Contains(got.body, `"shards_without_leader":8`) {
		t.Errorf("a leader is gone: %d %s", got.status, got.body)
	}
	r.setViews(without(2))
	r.nodes[0].sendViews(r.store.current())
	r.awaitViews()
	r.must(200, "GET", "/healthz", "")
	for i, n := range r.nodes {
		n.stop()
		r.await(i, false)
	}
	got := r.ask("GET", "/healthz", "")
	if got.status != 503 || !strings.Contains(got.body, "db-2") || got.header.Get("X-Request-Id") == "" {
		t.Errorf("%d %s %v", got.status, got.body, got.header)
	}
}

// TestAnotherClusterIsNamed: a node that refuses the greeting is named with its reason.
func TestAnotherClusterIsNamed(t *testing.T) {
	r := newRig(t, 150*time.Millisecond, 50*time.Millisecond)
	members := slices.Clone(r.wiring.Members)
	members[1].Address, members[2].Address = members[2].Address, members[1].Address // a wrong --nodes
	wiring := open(r.wiring.Config, members, r.wiring.Layout, r.wiring.Log)
	for end := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		state := make(chan linkState, 1)
		wiring.Links[1][0].State <- state
		if s := <-state; strings.Contains(s.Reason, "found the node db-2") {
			return
		} else if s.Up || time.Now().After(end) {
			t.Fatalf("%+v", s)
		}
	}
}

func TestMetrics(t *testing.T) {
	r := newRig(t, ample, ample/2)
	r.must(404, "GET", "/api/user/nobody", "")
	body := r.must(200, "GET", "/metrics", "").body
	for _, want := range []string{`tandem_requests_total{operation="get",status="404"} 1`,
		`tandem_nodes_touched_count{operation="get"} 1`, `tandem_retries_total{reason="silence"} 0`,
		`tandem_tries_bucket{le="1"} 1`, "tandem_view_changes_total 0",
		`tandem_request_seconds_count{operation="get"`} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s", want)
		}
	}
	for _, name := range []string{"db-0", "db-1", "db-2"} {
		if !strings.Contains(body, `tandem_links_up{node="`+name+`"} 2`) {
			t.Errorf("no state of the connections to %s", name)
		}
	}
}

// TestARefusalIsBelievedOnlyWhenNoEarlierTryCanFollow: else the client would be told 409 for a write that is done a
// moment later (rule R20).
func TestARefusalIsBelievedOnlyWhenNoEarlierTryCanFollow(t *testing.T) {
	early, late := try{sent: 10, until: 60}, try{sent: 61, until: 110}
	answer := func(result wire.Result, at try) reply {
		return reply{message: &wire.Message{Kind: wire.Outcome, Result: result}, try: at}
	}
	for name, c := range map[string]struct {
		open  []try
		got   reply
		write bool
		want  bool
		left  int
	}{
		"the only try":                {[]try{early}, answer(wire.Exists, early), true, true, 0},
		"after the first was overdue": {[]try{early, late}, answer(wire.Exists, late), true, true, 1},
		"while the first may still follow": {[]try{early, {sent: 30, until: 80}},
			answer(wire.Exists, try{sent: 30, until: 80}), true, false, 1},
		"of the first, while a second may": {[]try{early, late}, answer(wire.Missing, early), true, false, 1},
		"a success":                        {[]try{early, late}, answer(wire.Created, early), true, true, 1},
		"a get":                            {[]try{early, late}, answer(wire.Missing, early), false, true, 1},
		"a broken connection":              {[]try{early}, reply{err: errLink, try: early}, true, false, 1},
		"a frame that did not leave":       {[]try{early}, reply{err: errNotSent, try: early}, true, false, 0},
		"an answer that a node has lost": {[]try{early}, reply{message: &wire.Message{Kind: wire.Error,
			Code: wire.AnswerLost}, try: early}, true, false, 1},
		"a refusal to do it at all": {[]try{early}, reply{message: &wire.Message{Kind: wire.Error,
			Code: wire.Busy}, try: early}, true, false, 0},
		"no reply yet": {[]try{early}, reply{}, true, false, 1},
	} {
		open, accepted := acceptReply(c.open, c.got, c.write)
		if accepted != c.want || len(open) != c.left {
			t.Errorf("%s: accepted %v, %d tries left", name, accepted, len(open))
		}
	}
}

// Of several tries that fail the reason is given that says most: that a copy is damaged, and not that the other replica
// cannot be reached.
func TestTheReasonThatSaysMost(t *testing.T) {
	for _, c := range []struct {
		earlier, what failure
		want          bool
	}{
		{none, notLeader, true}, {none, stuck, true}, {notLeader, notLeader, true}, {notLeader, unreachable, true},
		{stuck, unreachable, false}, {stuck, unsent, false}, {stuck, notLeader, false}, {stuck, silence, true},
		{stuck, stuck, true}, {unreachable, stuck, true}, {silence, notLeader, false}, {silence, unreachable, true},
	} {
		if got := tellsMore(c.earlier, c.what); got != c.want {
			t.Errorf("%q behind %q: %v", c.what, c.earlier, got)
		}
	}
}
