package shard

// verify replays the log and checks every answer against it.
func (w *world) verify() {
	lead, back := w.nodes[0].disk, w.nodes[1].disk
	if len(lead) != len(back) {
		w.t.Fatalf("seed %d: logs of %d and %d entries after healing", w.seed, len(lead), len(back))
	}
	byRequest := map[RequestID]uint64{}
	states := []map[string]Record{{}}
	for i, n := range lead {
		if n != back[i] {
			w.t.Fatalf("seed %d: the replicas differ at LSN %d: %+v and %+v", w.seed, n.LSN, n, back[i])
		}
		if byRequest[n.Request] != 0 {
			w.t.Fatalf("seed %d: request %x was done twice, at LSN %d and %d", w.seed, n.Request, byRequest[n.Request], n.LSN)
		}
		byRequest[n.Request] = n.LSN
		next := map[string]Record{}
		for id, r := range states[i] {
			next[id] = r
		}
		delete(next, n.ID)
		if n.Result != Deleted {
			next[n.ID] = Record{n.ID, n.Name, n.Email, n.Group, n.Epoch, n.LSN}
		}
		states = append(states, next)
	}
	for _, a := range w.ops {
		if a.answered == 0 {
			continue
		}
		if !a.get && a.reply.Result <= Deleted {
			at := a.reply.Record.LSN
			if byRequest[a.change.Request] != at {
				w.t.Fatalf("seed %d: an acknowledged write is not in the log at LSN %d", w.seed, at)
			}
			if result, _ := decide(&a.change, states[at-1][a.change.ID]); result != a.reply.Result {
				w.t.Fatalf("seed %d: LSN %d answered %d, the log before it gives %d", w.seed, at, a.reply.Result, result)
			}
			if at <= a.floor {
				w.t.Fatalf("seed %d: LSN %d was given to a write that began after LSN %d was acknowledged", w.seed, at, a.floor)
			}
			continue
		}
		if !w.explained(a, states) {
			w.t.Fatalf("seed %d: %+v answered %+v, which no state from LSN %d to %d gives", w.seed, a.change, a.reply, a.floor, a.diskAtAnswerMax)
		}
	}
}

// explained tells whether some committed state between a request's call and its answer gives the answer.
func (w *world) explained(a *asked, states []map[string]Record) bool {
	for at := a.floor; at <= a.diskAtAnswerMax; at++ {
		current, exists := states[at][a.change.ID]
		result, _ := decide(&a.change, current)
		if a.get {
			result = Missing
			if exists {
				result = Found
			}
		}
		if result == a.reply.Result && (result != Found || current == a.reply.Record) {
			return true
		}
	}
	return false
}
