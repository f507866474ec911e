package main

import (
	"log/slog"
	"time"

	"tandem/shard"
	"tandem/wire"
	"tandem/wire/proc"
)

// wiring connects the gateway's loops and handlers: settings and channels. None of them changes after the start.
type wiring struct {
	Config         config
	Layout         shard.Layout
	Members        []member
	Mine           shard.Greeting     // what this gateway says of itself, but for its cluster's incarnation
	Views          chan viewSet       // a cell; see currentViews
	ViewReports    chan viewReport    // what nodes say the views are
	ClusterReports chan clusterReport // and of which cluster they are
	Outages        chan outage        // why there is no connection to them
	Links          [][]*linkHandle    // by node: its connections
	Lists          chan struct{}      // has an element for each list under way
	Reservations   chan<- reservation
	Bodies         chan struct{} // has an element for each large body that is being read
	Metrics        metrics
	Names          []proc.Names // by node: where it is dialled
	Log            *slog.Logger
}

// linkHandle is where one connection's loop is reached, and where it hands over what its node says the views are.
type linkHandle struct {
	Name        string        // of the node
	Tick        time.Duration // a tick of the connection
	In          chan request
	State       chan chan<- linkState
	Nudge       chan struct{} // has an element when a view has changed in which the node is concerned
	ViewReports chan<- viewReport
}

// linkState is what a connection's loop says about itself.
type linkState struct {
	Up      bool
	Reason  string
	Refused shard.Misfit // in what the two sides do not fit, if that is the reason
	Lacks   string       // why the node takes no part, as it says itself; "" if it does
}

// request is a frame to send, and where its answer goes; reply has a place for the one answer, so the loop never waits.
// Several tries may share a message: nobody changes it. Its deadline is in ns on this machine's boot-time clock.
type request struct {
	message  *wire.Message
	reply    chan reply
	try      try
	progress chan<- struct{} // of a list, one place: gets an element when a part of its answer has come
	pages    []wire.Record   // that part
}

// try is when a try was made, and until when a node may still begin what it asks; both in ns on the boot-time clock.
type try struct{ sent, until int64 }

// reply is the answer to a request, or why there is none.
type reply struct {
	message *wire.Message
	err     error
	try     try // of the request
}
