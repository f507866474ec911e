package main

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	"github.com/google/uuid"
	"golang.org/x/net/netutil"

	"tandem/shard"
	"tandem/wire/peer"
	"tandem/wire/proc"
)

const (
	readFor  = 10 * time.Second // for a request to arrive whole
	writeFor = 15 * time.Second // for an answer to be taken
	idleFor  = 2 * time.Minute  // between two requests of a connection
	stopFor  = 5 * time.Second  // for requests under way when the gateway is stopped
)

// maxBodies bounds the large bodies that are read at once, and so the memory they take: up to 256 KiB each.
const maxBodies = 128

// maxHeaders bounds the header of a request in bytes; the library adds 4 KiB.
const maxHeaders = 16 << 10

// maxHeap is the heap in bytes, beside what --unread-mb allows, from which on garbage is collected as it comes.
// GOMEMLIMIT in the environment overrides it.
const maxHeap = 192 << 20

func main() {
	config := config{}
	output := proc.Start("gateway")
	kong.Parse(&config, flags(os.Stdout, output, func(code int) { proc.Exit(output, code) })...)
	if config.Health {
		r, err := askHealth(config.Listen)
		os.Exit(reportHealth(r, err, os.Stderr))
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	proc.TuneRuntime(int64(config.UnreadMB)<<20 + maxHeap)
	uuid.EnableRandPool()
	log := slog.Default()
	members, layout, err := check(config)
	proc.StopIf(output, err)
	listener, err := proc.Listen(config.Listen)
	proc.StopIf(output, err)
	wiring := open(config, members, layout, log)
	countDropped(wiring.Metrics, output)
	handler, stopping := routes(wiring), make(chan struct{})
	server := newServer(handler, log)
	rest, over := newFront(handler, netutil.LimitListener(listener, config.MaxConnections), log, stopping)
	log.Info("serving REST", "listen", listener.Addr().String(), "nodes", config.Nodes)
	failed := make(chan error, 1)
	go func() {
		failed <- server.Serve(problemsOf(rest, wiring.Metrics))
	}()
	select {
	case why := <-stop:
		log.Info("stopping", "signal", why.String())
		late, cancel := context.WithTimeout(context.Background(), stopFor)
		defer cancel()
		close(stopping)
		_ = server.Shutdown(late)
		select {
		case <-over:
		case <-late.Done():
		}
		log.Info("stopped")
	case err = <-failed:
		proc.StopIf(output, err)
	}
	proc.Exit(output, 0)
}

// open wires the gateway and sets the connections' loops going.
func open(config config, members []member, layout shard.Layout, log *slog.Logger) *wiring {
	mine := peer.FirstGreeting(shard.RoleGateway, config.Cluster, config.Listen, members, layout.Shards)
	mine.Ring, mine.Build = shard.RingHash(mine.Names), proc.Build()
	wiring := &wiring{Config: config, Layout: layout, Members: members, Mine: mine,
		Views: make(chan viewSet, 1), ViewReports: make(chan viewReport, len(members)),
		ClusterReports: make(chan clusterReport, len(members)),
		Outages:        make(chan outage, len(members)), Links: make([][]*linkHandle, len(members)),
		Lists: make(chan struct{}, config.Lists), Bodies: make(chan struct{}, maxBodies), Metrics: newMetrics(), Log: log}
	reservations, long, small := make(chan reservation, 64), maxLong(config), config.UnreadMB<<20-maxLong(config)
	wiring.Reservations = reservations
	wiring.Metrics.UnreadMost.WithLabelValues("small").Set(float64(small))
	wiring.Metrics.UnreadMost.WithLabelValues("long").Set(float64(long))
	go runBudgets(reservations, unreadBudget{limit: small, gauge: wiring.Metrics.Unread.WithLabelValues("small")},
		unreadBudget{limit: long, gauge: wiring.Metrics.Unread.WithLabelValues("long")})
	views := make([]shard.View, layout.Shards) // those that the cluster is bootstrapped with, until a node tells others
	for s := range views {
		views[s] = shard.InitialView(layout, s)
	}
	wiring.Views <- viewSet{Views: views, Changed: make(chan struct{})}
	for node, member := range members {
		names := proc.NewNames(member.Address, proc.AskNameServer)
		wiring.Names = append(wiring.Names, names)
		go proc.RunNames(names)
		for range config.Links {
			link := &linkHandle{member.Name, max(config.Silence/silenceTicks, time.Millisecond), make(chan request, linkQueue),
				make(chan chan<- linkState), make(chan struct{}, 1), wiring.ViewReports}
			wiring.Links[node] = append(wiring.Links[node], link)
		}
	}
	go mergeReports(wiring)
	go logOutages(wiring, time.Now())
	for node, links := range wiring.Links {
		for _, link := range links {
			go runLink(wiring, node, link)
		}
	}
	return wiring
}

// newServer makes the server, with a limit on everything that a client can make it wait for.
func newServer(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{Handler: handler, ReadHeaderTimeout: readFor, ReadTimeout: readFor, WriteTimeout: writeFor,
		IdleTimeout:    idleFor,
		MaxHeaderBytes: maxHeaders, DisableGeneralOptionsHandler: true,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
}
