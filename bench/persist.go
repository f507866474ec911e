package main

import "time"

// numbers returns 0 to n-1.
func numbers(n uint64) []uint64 {
	all := make([]uint64, n)
	for i := range all {
		all[i] = uint64(i)
	}
	return all
}

// persist does a phase's operation for each key, and again for those whose try failed, until a time; one round is made
// in any case, but for one that is ended early. Then the keys that are left are sent.
func persist(g generator, p phase, keys []uint64, until time.Time, left chan<- []uint64) {
	next := p.Next
	for len(keys) > 0 {
		round, again := keys, []uint64{}
		own, done := make(chan sample, loaders), make(chan uint64, 1)
		p.Count = uint64(len(round))
		p.Next = func(w workload, i, made uint64) (operation, uint64) { return next(w, round[i], made) }
		go drive(generator{g.client, g.beat, own}, p, g.client.Early, done)
		asked := 0
		for over := false; !over || len(own) > 0; {
			select {
			case s := <-own:
				asked++
				if g.samples <- s; s.Failed {
					again = append(again, s.Op.Key)
				}
			case <-done: // all answers are in own then
				over = true
			}
		}
		if keys = append(again, round[asked:]...); len(keys) == 0 || time.Now().After(until) || isClosed(g.client.Early) {
			break
		}
		time.Sleep(retryPause)
	}
	left <- keys
}
