package main

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/julienschmidt/httprouter"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tandem/shard"
	"tandem/wire"
	"tandem/wire/proc"
)

// call is a request on its way through a handler.
type call struct {
	http    *http.Request
	query   url.Values     // of parameters that the resource has, each once, but for a list's
	bad     []fieldError   // parameters of a list that it does not have, or more than once: it names what else is wrong
	id      string         // of the user, from the path
	request wire.RequestID // of the write
	began   int64          // from when on the deadline of a call without a body counts, in ns on the boot-time clock
}

// handler answers one kind of call.
type handler func(wiring *wiring, c *call) response

// routes is the table of what is served. Both spellings of a path, with and without the trailing slash, are the same
// resource.
func routes(wiring *wiring) http.Handler {
	router := httprouter.New()
	router.RedirectTrailingSlash, router.RedirectFixedPath = false, false
	unrouted := func(operation string, h handler) http.Handler {
		handle := wrap(wiring, operation, h)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handle(w, r, nil) })
	}
	router.NotFound = unrouted("none", notFound)
	router.MethodNotAllowed = unrouted("none", notAllowed)
	router.GlobalOPTIONS = unrouted("options", options)
	router.PanicHandler = func(w http.ResponseWriter, r *http.Request, cause any) {
		if cause == http.ErrAbortHandler { // the server's own way to break a connection off
			panic(cause)
		}
		wiring.Metrics.Panics.Inc()
		wiring.Log.Error("a handler panicked", "path", r.URL.Path, "cause", cause, "stack", string(debug.Stack()))
		a := problem(http.StatusInternalServerError, "the gateway has a bug; its log says more", nil)
		write(w, requestID(r, uuid.New()), &a)
	}
	for _, slash := range [...]string{"", "/"} {
		router.POST("/api/user"+slash, wrap(wiring, "create", createUser))
		router.PUT("/api/user"+slash, wrap(wiring, "update", updateUser))
		for _, method := range [...]string{http.MethodGet, http.MethodHead} {
			router.Handle(method, "/api/user"+slash, wrap(wiring, "list", listUsers, "offset", "limit", "after"))
			router.Handle(method, "/api/user/:id"+slash,
				countOrUser(wrap(wiring, "count", countUsers), wrap(wiring, "get", getUser)))
		}
		router.DELETE("/api/user/:id"+slash,
			countOrUser(wrap(wiring, "count", refuseCountDelete), wrap(wiring, "delete", deleteUser)))
	}
	for _, method := range [...]string{http.MethodGet, http.MethodHead} {
		router.Handle(method, "/livez", wrap(wiring, "live", live))
		router.Handle(method, "/readyz", wrap(wiring, "health", health, "verbose"))
		router.Handle(method, "/healthz", wrap(wiring, "health", health, "verbose"))
		router.Handle(method, "/metrics", showMetrics(wiring))
	}
	misspelt := unrouted("none", notFound)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// data, and no delimiter (RFC 3986, section 2.2), but the router sees it decoded
		if strings.Contains(strings.ToLower(r.URL.RawPath), "%2f") {
			misspelt.ServeHTTP(w, r)
			return
		}
		router.ServeHTTP(w, r)
	})
}

// statuses are those that handlers answer with; their counters are made once.
var statuses = [...]int{200, 201, 204, 304, 400, 404, 405, 408, 409, 412, 413, 415, 422, 500, 503}

// wrap makes a route of a handler: it gives the call its deadline, its ids and its parameters, of which these are
// known, weighs the preconditions of reads, writes the answer and counts it. Who handles no resource is not asked about
// parameters.
func wrap(wiring *wiring, operation string, h handler, parameters ...string) httprouter.Handle {
	readsBody, anything := operation == "create" || operation == "update", operation == "none" || operation == "options"
	durations := wiring.Metrics.Durations.WithLabelValues(operation)
	touched := wiring.Metrics.Touched.WithLabelValues(operation)
	counters := map[int]prometheus.Counter{}
	for _, status := range statuses {
		counters[status] = wiring.Metrics.Requests.WithLabelValues(operation, strconv.Itoa(status))
	}
	return func(w http.ResponseWriter, r *http.Request, params httprouter.Params) {
		came, request := time.Now(), uuid.New()
		c := call{http: r, id: params.ByName("id"), request: request}
		if !readsBody {
			c.began = proc.Clock()
		}
		p, refused := preconditions{}, (*response)(nil)
		reads := (r.Method == http.MethodGet || r.Method == http.MethodHead) && !anything
		if r.URL.RawQuery != "" && !anything {
			c.query, c.bad, refused = checkQuery(r.URL.RawQuery, parameters)
		}
		if operation != "list" && refused == nil {
			refused = refuseParameters(c.bad)
		}
		if reads && refused == nil && len(r.Header["If-Match"])+len(r.Header["If-None-Match"]) > 0 {
			p, refused = readConditions(r.Header, http.DefaultMaxHeaderBytes)
		}
		a := response{}
		if refused != nil {
			a = *refused
		} else {
			a = h(wiring, &c)
		}
		if reads {
			a = conditional(p, a)
		}
		// else the answer would wait for a body that nobody reads
		a.hangUp = a.hangUp || r.ContentLength != 0 && (!readsBody || refused != nil)
		write(w, requestID(r, request), &a)
		if a.unread != nil {
			defer func() { wiring.Reservations <- *a.unread }()
			if whole := writeBody(w, a.body, wiring.Config.SlowKB); !whole {
				wiring.Metrics.SlowClients.Inc()
			}
		}
		durations.Observe(time.Since(came).Seconds())
		touched.Observe(float64(a.touched))
		counters[a.status].Inc()
	}
}

// showMetrics makes the route of the metrics, which the library writes, but for what is refused.
func showMetrics(wiring *wiring) httprouter.Handle {
	library := promhttp.HandlerFor(wiring.Metrics.Registry, promhttp.HandlerOpts{})
	return func(w http.ResponseWriter, r *http.Request, _ httprouter.Params) {
		views := currentViews(wiring.Views).Views
		for i, n := range askLinks(wiring) {
			under := shard.UnderReplicated(views, i)
			wiring.Metrics.showNode(wiring.Members[i].Name, n, under)
		}
		_, bad, refused := checkQuery(r.URL.RawQuery, []string{"name[]"})
		p, malformed := readConditions(r.Header, http.DefaultMaxHeaderBytes)
		a, id := conditional(p, response{status: http.StatusOK}), requestID(r, uuid.New())
		if refused = cmp.Or(refused, refuseParameters(bad), malformed); refused != nil {
			a = *refused
		}
		if a.hangUp = r.ContentLength != 0; a.status != http.StatusOK {
			write(w, id, &a)
			return
		}
		w.Header().Set("X-Request-Id", id)
		w.Header().Set("Tandem-Nodes-Touched", "0")
		if a.hangUp {
			w.Header().Set("Connection", "close")
		}
		library.ServeHTTP(w, r)
	}
}

// countOrUser tells the count from a user: the router cannot route /api/user/count beside /api/user/:id.
func countOrUser(count, user httprouter.Handle) httprouter.Handle {
	return func(w http.ResponseWriter, r *http.Request, params httprouter.Params) {
		if params.ByName("id") == "count" {
			count(w, r, params)
			return
		}
		user(w, r, params)
	}
}

// requestID is the client's own id of the request, if it has 1 to 128 visible ASCII characters, else the one made here.
func requestID(r *http.Request, made uuid.UUID) string {
	own := r.Header.Get("X-Request-Id")
	for i := range len(own) {
		if own[i] <= ' ' || own[i] > '~' || len(own) > 128 {
			own = ""
			break
		}
	}
	if own != "" {
		return own
	}
	return made.String()
}

func notFound(_ *wiring, c *call) response {
	return problem(http.StatusNotFound, fmt.Sprintf("nothing is served at %s; users are at /api/user/",
		c.http.URL.Path), nil)
}

// notAllowed answers a method that the resource does not have; the router has set Allow, but for the count takes it for
// a user.
func notAllowed(_ *wiring, c *call) response {
	a := problem(http.StatusMethodNotAllowed, fmt.Sprintf("%s is not allowed at %s; the Allow header names what is",
		c.http.Method, c.http.URL.Path), nil)
	if strings.TrimSuffix(c.http.URL.Path, "/") == countPath {
		a.allow = countMethods
	}
	return a
}

// options answers OPTIONS; Allow is set as it is for notAllowed.
func options(_ *wiring, c *call) response {
	a := response{status: http.StatusNoContent}
	if strings.TrimSuffix(c.http.URL.Path, "/") == countPath {
		a.allow = countMethods
	}
	return a
}
