package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"tandem/shard"
	"tandem/wire"
	"tandem/wire/proc"
)

// The count's path, which the router cannot tell from that of a user, and its methods.
const (
	countPath    = "/api/user/count"
	countMethods = "GET, HEAD, OPTIONS"
)

// readBody returns the body of a JSON request, or the problem with it. Few large ones are read at once, and none is
// given more memory than has arrived.
func readBody(wiring *wiring, r *http.Request) ([]byte, *response) {
	refused := func(status int, detail string) ([]byte, *response) {
		a := problem(status, detail, nil)
		a.hangUp = true
		return nil, &a
	}
	kind := r.Header.Get("Content-Type")
	media, err := kind, error(nil)
	if kind != "application/json" {
		media, _, err = mime.ParseMediaType(kind)
	}
	encoding := r.Header.Get("Content-Encoding")
	switch {
	case kind != "" && (err != nil || media != "application/json"):
		return refused(http.StatusUnsupportedMediaType, fmt.Sprintf("expected Content-Type application/json, found %q", kind))
	case encoding != "" && encoding != "identity":
		return refused(http.StatusUnsupportedMediaType, fmt.Sprintf("expected no Content-Encoding, found %q", encoding))
	case r.ContentLength > maxBody:
		return refused(http.StatusRequestEntityTooLarge,
			fmt.Sprintf("expected a body of at most %d bytes, found %d", maxBody, r.ContentLength))
	}
	known, size := make([]byte, min(max(r.ContentLength, 0), smallBody)), 0
	err = nil // of a Content-Type that is not there
	for n := 0; err == nil && size < len(known); size += n {
		n, err = r.Body.Read(known[size:])
	}
	body := bytes.NewBuffer(known[:size])
	if err == nil && r.ContentLength != int64(size) {
		_, err = body.ReadFrom(io.LimitReader(r.Body, int64(smallBody+1-size)))
	}
	if err == io.EOF {
		err = nil
	}
	if err == nil && body.Len() > smallBody {
		select {
		case wiring.Bodies <- struct{}{}:
			_, err = body.ReadFrom(io.LimitReader(r.Body, maxBody-smallBody))
			<-wiring.Bodies
		default:
			return refused(http.StatusServiceUnavailable,
				fmt.Sprintf("%d other bodies of more than %d bytes are being read", cap(wiring.Bodies), smallBody))
		}
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return refused(http.StatusRequestTimeout,
			fmt.Sprintf("the request did not arrive whole in its time; %d bytes of its body came", body.Len()))
	case err != nil:
		return refused(http.StatusBadRequest, "the body could not be read: "+err.Error())
	case body.Len() > maxBody:
		return refused(http.StatusRequestEntityTooLarge, fmt.Sprintf("expected a body of at most %d bytes", maxBody))
	}
	return body.Bytes(), nil
}

// refuseUser is the problem with the user in a body, nil if there is none.
func refuseUser(method string, bad []fieldError, err error) *response {
	if err == nil && len(bad) == 0 {
		return nil
	}
	a := problem(http.StatusUnprocessableEntity, "the user of this "+method+" has fields that are wrong", bad)
	if err != nil {
		a = problem(http.StatusBadRequest, err.Error(), nil)
	}
	return &a
}

// uncertaintyText says of a write whether one of its tries may have done it, whatever the reason that one failed.
func uncertaintyText(uncertainTries int) string {
	switch uncertainTries {
	case 0:
		return ""
	case 1:
		return "; the write may have been done or may still be"
	}
	const ofAll = "; that was one of %d tries, and the write may have been done or may still be by any of them"
	return fmt.Sprintf(ofAll, uncertainTries)
}

// outcomeResponse makes the answer about the user with an id, of what a leader said about a get or a write.
func outcomeResponse(id string, p preconditions, m *wire.Message, uncertainTries int, err error, success int) response {
	if err != nil {
		status := http.StatusServiceUnavailable
		if errors.Is(err, errNode) {
			status = http.StatusInternalServerError
		}
		return problem(status, err.Error()+uncertaintyText(uncertainTries), nil)
	}
	a := response{}
	current := shard.Record{ID: m.Record.ID, Epoch: m.Record.Epoch, LSN: m.Record.LSN}
	switch m.Result {
	case wire.Missing:
		a = problem(http.StatusNotFound, "no user has the id "+id, nil)
	case wire.Exists:
		a = problem(http.StatusConflict, "a user has the id "+id+" already", nil)
	case wire.Mismatch:
		unmet := shard.Weigh(p.match, p.unless, current)
		a = problem(http.StatusPreconditionFailed, unmetDetail(unmet, p.unless, current), nil)
		if current.ID != "" {
			a.etag = string(appendTag(nil, current.Epoch, current.LSN))
		}
	case wire.Oversized:
		a = problem(http.StatusUnprocessableEntity, "the user would be too large",
			[]fieldError{{"name", tooLong}, {"email", tooLong}})
	case wire.Deleted:
		a.status = http.StatusNoContent
	default:
		m.Record.ID = id
		a.status, a.body = success, append(appendUser(make([]byte, 0, 256), &m.Record), '\n')
		a.version = shard.Position{Epoch: current.Epoch, LSN: current.LSN}
		a.etag = string(appendTag(make([]byte, 0, 48), current.Epoch, current.LSN))
	}
	a.touched = int(m.Touched)
	return a
}

// reference names a user relative to the URL of all users, which ends in a slash or does not (RFC 3986, section 4.2):
// so it holds behind any prefix.
func reference(r *http.Request, id string) string {
	if strings.HasSuffix(r.URL.Path, "/") {
		return id
	}
	return "user/" + id
}

func createUser(wiring *wiring, c *call) response {
	body, refused := readBody(wiring, c.http)
	if refused != nil {
		return *refused
	}
	began := proc.Clock() // from here on: a slow upload is the client's own time
	user, have, bad, err := decodeUser(body, wire.HasName|wire.HasEmail|wire.HasGroup)
	if refused = refuseUser(c.http.Method, bad, err); refused != nil {
		return *refused
	}
	p, refused := readConditions(c.http.Header, maxTags)
	if refused != nil {
		return *refused
	}
	if have&hasID == 0 {
		user.ID = uuid.NewString()
	}
	s, _ := shard.ShardOf(wiring.Layout, user.ID)
	m := &wire.Message{Kind: wire.Write, Shard: uint64(s), Request: c.request, Op: wire.Create, Record: user,
		Match: wireCondition(p.match), Unless: wireCondition(p.unless)}
	answer, uncertainTries, err := askLeader(wiring, m, began)
	a := outcomeResponse(user.ID, p, answer, uncertainTries, err, http.StatusCreated)
	if a.status == http.StatusCreated {
		a.location = reference(c.http, user.ID)
	}
	return a
}

func updateUser(wiring *wiring, c *call) response {
	body, refused := readBody(wiring, c.http)
	if refused != nil {
		return *refused
	}
	began := proc.Clock()
	user, have, bad, err := decodeUser(body, hasID)
	if refused = refuseUser(c.http.Method, bad, err); refused != nil {
		return *refused
	}
	p, refused := readConditions(c.http.Header, maxTags)
	if refused != nil {
		return *refused
	}
	s, _ := shard.ShardOf(wiring.Layout, user.ID)
	m := &wire.Message{Kind: wire.Write, Shard: uint64(s), Request: c.request, Op: wire.Update, Fields: have &^ hasID,
		Record: user, Match: wireCondition(p.match), Unless: wireCondition(p.unless)}
	answer, uncertainTries, err := askLeader(wiring, m, began)
	a := outcomeResponse(user.ID, p, answer, uncertainTries, err, http.StatusOK)
	if a.status == http.StatusOK {
		a.about = reference(c.http, user.ID)
	}
	return a
}

func deleteUser(wiring *wiring, c *call) response {
	if err := shard.CheckID(c.id); err != nil {
		return problem(http.StatusUnprocessableEntity, "no user can have this id", []fieldError{{"id", err.Error()}})
	}
	p, refused := readConditions(c.http.Header, maxTags)
	if refused != nil {
		return *refused
	}
	s, _ := shard.ShardOf(wiring.Layout, c.id)
	m := &wire.Message{Kind: wire.Write, Shard: uint64(s), Request: c.request, Op: wire.Delete,
		Record: wire.Record{ID: c.id}, Match: wireCondition(p.match), Unless: wireCondition(p.unless)}
	answer, uncertainTries, err := askLeader(wiring, m, c.began)
	return outcomeResponse(c.id, p, answer, uncertainTries, err, http.StatusNoContent)
}

func getUser(wiring *wiring, c *call) response {
	if err := shard.CheckID(c.id); err != nil {
		return problem(http.StatusUnprocessableEntity, "no user can have this id", []fieldError{{"id", err.Error()}})
	}
	s, _ := shard.ShardOf(wiring.Layout, c.id)
	m := &wire.Message{Kind: wire.Get, Shard: uint64(s), Record: wire.Record{ID: c.id}}
	answer, uncertainTries, err := askLeader(wiring, m, c.began)
	return outcomeResponse(c.id, preconditions{}, answer, uncertainTries, err, http.StatusOK)
}

// refuseCountDelete answers a DELETE of the count.
func refuseCountDelete(_ *wiring, _ *call) response {
	a := problem(http.StatusMethodNotAllowed, "the count cannot be deleted; the Allow header names what it has", nil)
	a.allow = countMethods
	return a
}

// respondUnavailable is the answer of a count or a list that failed.
func respondUnavailable(err error) response {
	return problem(http.StatusServiceUnavailable, err.Error(), nil)
}

func countUsers(wiring *wiring, c *call) response {
	until := c.began + int64(wiring.Config.Deadline)
	counts, err := countAll(wiring, noneExcluded(wiring.Layout), int(c.request[0]), until)
	if err != nil {
		return respondUnavailable(err)
	}
	body := strconv.AppendUint([]byte(`{"count":`), counts.total, 10)
	return response{status: http.StatusOK, body: append(body, "}\n"...), touched: counts.touched}
}

// listUsers counts, plans the page, and reads it from the nodes that it counted on. What fails on the way is
// left out and all of it is done again; a walk that found its shards emptied since the count goes on behind them.
func listUsers(wiring *wiring, c *call) response {
	q, bad := parseQuery(c.query)
	if refused := refuseParameters(append(c.bad, bad...)); refused != nil {
		return *refused
	}
	until := c.began + int64(wiring.Config.Deadline)
	late := time.NewTimer(time.Duration(until - proc.Clock()))
	defer late.Stop()
	select {
	case wiring.Lists <- struct{}{}:
		defer func() { <-wiring.Lists }()
	case <-late.C:
		return respondUnavailable(fmt.Errorf("%w: %d other lists are under way", errLate, cap(wiring.Lists)))
	}
	reason, first := errors.New("its shards were emptied again and again"), 0
	without := noneExcluded(wiring.Layout)
	if q.After != "" {
		first, _ = shard.ShardOf(wiring.Layout, q.After)
	}
	for proc.Clock() < until {
		counts, err := countAll(wiring, without, int(c.request[0]), until)
		if err != nil {
			return respondUnavailable(err)
		}
		frames, behind := planPage(wiring.Layout, q, first, counts)
		users, total, failed, err := readPage(wiring, frames, counts, q.Limit, until)
		more := behind < wiring.Layout.Shards
		switch {
		case err != nil:
			wiring.Metrics.Retries.WithLabelValues(string(uncovered)).Inc()
			exclude(without, frames[failed], err)
			reason = err
			continue
		case q.Walk && len(users) == 0 && more:
			first = behind
			continue
		}
		size := 0
		for i := range users {
			size += len(users[i].ID) + len(users[i].Name) + len(users[i].Email) + 80
		}
		body, last := append(make([]byte, 0, size), '['), ""
		for i := range users {
			if i > 0 {
				body = append(body, ',')
			}
			body, last = appendUser(body, &users[i]), users[i].ID
		}
		body = append(body, "]\n"...)
		unread, refused := reserve(wiring, len(body), until)
		if refused != nil {
			return *refused
		}
		return response{status: http.StatusOK, body: body, unread: unread, touched: counts.touched,
			total: strconv.FormatUint(total, 10), link: link(q, total, uint64(len(users)), last, more)}
	}
	return respondUnavailable(unanswered(true, reason))
}
