package main

import (
	"tandem/shard/views"
	"tandem/wire"
)

// watcher is a gateway's connection that is to be told the views, or no longer.
type watcher struct {
	Conn *conn
	Shut bool
}

// runViews is the loop that tells the gateways the views: when they have greeted, and at every change.
func runViews(node *Node, clients *Clients, states <-chan views.State) {
	watchers := map[*conn]bool{}
	var frame *wire.Message
	for {
		select {
		case w := <-clients.Watch:
			if w.Shut {
				delete(watchers, w.Conn)
				continue
			}
			watchers[w.Conn] = true
			if frame != nil {
				deliver(w.Conn, answers{Message: frame})
			}
		case state := <-states:
			noteOrigin(node.Origin, state) // a store that joined learns it from its first cluster state
			frame = &wire.Message{Kind: wire.Views}
			for _, v := range state.Views {
				frame.Views = append(frame.Views, wire.View{Epoch: v.Epoch, Leader: uint64(v.Leader),
					Backup: uint64(v.Backup), InSync: v.InSync})
			}
			for conn := range watchers {
				deliver(conn, answers{Message: frame})
			}
		}
	}
}
