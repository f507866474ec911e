package main

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Metrics are what GET /metrics shows.
type Metrics struct {
	Registry  *prometheus.Registry
	Requests  *prometheus.CounterVec   // by operation and status
	Durations *prometheus.HistogramVec // seconds, by operation
	Touched   *prometheus.HistogramVec // nodes, by operation
	Retries   prometheus.Counter
	Panics    prometheus.Counter
	LinksUp   *prometheus.GaugeVec // by node
}

// newMetrics registers all metrics.
func newMetrics() Metrics {
	m := Metrics{
		Registry: prometheus.NewRegistry(),
		Requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tandem_requests_total", Help: "Requests answered, by operation and status."},
			[]string{"operation", "status"}),
		Durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "tandem_request_seconds", Help: "Time to answer, by operation.",
			Buckets: []float64{.0005, .001, .002, .005, .01, .02, .05, .1, .15, .2, .25, .5, 1}}, []string{"operation"}),
		Touched: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "tandem_nodes_touched", Help: "Nodes that a request needed, by operation.",
			Buckets: []float64{0, 1, 2, 3, 4, 5, 8, 16}}, []string{"operation"}),
		Retries: prometheus.NewCounter(prometheus.CounterOpts{Name: "tandem_retries_total", Help: "Tries beyond the first one of a get or a write."}),
		LinksUp: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "tandem_links_up", Help: "Connections that are up, by node."}, []string{"node"}),
		Panics:  prometheus.NewCounter(prometheus.CounterOpts{Name: "tandem_panics_total", Help: "Handlers that panicked: bugs of the gateway."}),
	}
	m.Registry.MustRegister(m.Requests, m.Durations, m.Touched, m.Retries, m.Panics, m.LinksUp, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}
