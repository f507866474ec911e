package main

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"tandem/shard"
	"tandem/wire/proc"
)

// metrics are what GET /metrics shows.
type metrics struct {
	Registry  *prometheus.Registry
	Requests  *prometheus.CounterVec   // by operation and status
	Durations *prometheus.HistogramVec // seconds, by operation
	Touched   *prometheus.HistogramVec // nodes, by operation
	Tries     prometheus.Histogram     // of one get or write
	Retries   *prometheus.CounterVec   // by reason

	Unread      *prometheus.GaugeVec // bytes, by size of list
	UnreadMost  *prometheus.GaugeVec // bytes, by size of list
	Crowded     prometheus.Counter
	SlowClients prometheus.Counter
	ViewChanges prometheus.Counter
	Panics      prometheus.Counter
	LinksUp     *prometheus.GaugeVec // by node
	Lacks       *prometheus.GaugeVec // by node and check: 1 where the node says that it does not hold
	Under       *prometheus.GaugeVec // shards that are led without a backup in sync, by node
	Refused     *prometheus.GaugeVec // connections, by node and reason
}

// newMetrics registers all metrics.
func newMetrics() metrics {
	m := metrics{
		Registry: prometheus.NewRegistry(),
		Requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tandem_requests_total",
			Help: "Requests answered, by operation and status."},
			[]string{"operation", "status"}),
		Durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "tandem_request_seconds",
			Help:    "Time to answer, by operation.",
			Buckets: []float64{.0005, .001, .002, .005, .01, .02, .05, .1, .15, .2, .25, .5, 1}}, []string{"operation"}),
		Touched: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "tandem_nodes_touched",
			Help:    "Nodes that a request needed, by operation.",
			Buckets: []float64{0, 1, 2, 3, 4, 5, 8, 16}}, []string{"operation"}),
		Tries: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "tandem_tries",
			Help:    "Tries that a get or a write needed.",
			Buckets: []float64{1, 2, 3, 5, 10, 20, 50}}),
		Retries: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tandem_retries_total",
			Help: "Tries beyond the first one, by what became of the one before."}, []string{"reason"}),
		Unread: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "tandem_unread_bytes",
			Help: "Bytes of lists that clients have not taken yet, by size of list."}, []string{"size"}),
		UnreadMost: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "tandem_unread_most_bytes",
			Help: "How many bytes of lists may wait for clients, by size of list (--unread-mb)."}, []string{"size"}),
		Crowded: prometheus.NewCounter(prometheus.CounterOpts{Name: "tandem_lists_crowded_total",
			Help: "Lists refused because others wait for slow clients to read them."}),
		SlowClients: prometheus.NewCounter(prometheus.CounterOpts{Name: "tandem_slow_clients_total",
			Help: "Lists that their client did not take, or not fast enough (--slow-kb)."}),
		ViewChanges: prometheus.NewCounter(prometheus.CounterOpts{Name: "tandem_view_changes_total",
			Help: "Views of shards that were learnt from nodes."}),
		Lacks: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "tandem_node_lacks",
			Help: "1 where a node lacks something to take its whole part, by node and check (/readyz?verbose has the reasons)."},
			[]string{"node", "check"}),
		Under: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "tandem_shards_under_replicated",
			Help: "Shards that a node leads without a backup in sync, by node: to lose it would lose them."},
			[]string{"node"}),
		LinksUp: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "tandem_links_up",
			Help: "Connections that are up, by node."}, []string{"node"}),
		Refused: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "tandem_links_refused",
			Help: "Connections whose two sides do not fit, by node and by what does not."}, []string{"node", "reason"}),
		Panics: prometheus.NewCounter(prometheus.CounterOpts{Name: "tandem_panics_total",
			Help: "Handlers that panicked: bugs of the gateway."}),
	}
	m.Registry.MustRegister(m.Requests, m.Durations, m.Touched, m.Tries, m.Retries, m.ViewChanges, m.Panics, m.Unread,
		m.UnreadMost, m.Crowded, m.SlowClients, m.LinksUp, m.Lacks, m.Under, m.Refused, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, reason := range [...]failure{silence, unsent, broken, notLeader, unavailable, overdue, busy, diskError, stuck,
		unreachable, notHere, unsure, outdated, uncovered} {
		m.Retries.WithLabelValues(string(reason)) // shown as 0 until there is one
	}
	return m
}

// countDropped shows how many lines of the log were dropped.
func countDropped(m metrics, o proc.Output) {
	dropped := prometheus.CounterOpts{Name: "tandem_log_lines_dropped_total",
		Help: "Lines of the log that were dropped, since they could not be written."}
	m.Registry.MustRegister(prometheus.NewCounterFunc(dropped, func() float64 { return float64(o.Dropped()) }))
}

// showNode shows what a node says that it lacks to take its whole part, and how many shards it leads without a backup
// in sync. Of one to which there is no connection that is not known, and nothing is shown.
func (m metrics) showNode(name string, n nodeHealth, underReplicated int) {
	if !n.Up {
		m.Lacks.DeletePartialMatch(prometheus.Labels{"node": name})
		m.Under.DeleteLabelValues(name)
		return
	}
	m.Under.WithLabelValues(name).Set(float64(underReplicated))
	for _, check := range shard.NodeCheckNames {
		value := 0.0
		if strings.HasPrefix(n.Lacks, check+": ") || strings.Contains(n.Lacks, "; "+check+": ") {
			value = 1
		}
		m.Lacks.WithLabelValues(name, check).Set(value)
	}
}
