package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"tandem/bench/cluster"
)

// errPages is the class of a LIST that could not be measured.
var errPages = errors.New("cannot measure LIST")

// bigPage is the largest page that may be asked for; mostSamples is how many pages of a kind may be.
const (
	bigPage     = 1000
	mostSamples = 1_000_000
)

// page is what came of one LIST.
type page struct {
	total uint64
	next  string // path of the page behind it; "" if there is none
	took  time.Duration
}

// pageNames are the kinds of page that are measured; the number is the offset of the far one.
const pageNames = "offset 0|offset %d|by cursor near the end"

// pagesCommand measures LIST.
type pagesCommand struct {
	Target  string `help:"URL of the gateway." default:"http://127.0.0.1:8080"`
	Samples int    `help:"Pages of each kind." default:"200"`
	Limit   int    `help:"Users a page." default:"100"`
}

// Run takes the latency of LIST at offset 0 and near the end, in turn so that both meet the same machine, and of a walk
// by cursor over the last pages, and prints them.
func (c pagesCommand) Run(e ending) error {
	samples, limit := c.Samples, c.Limit
	target, wrong := parseTarget(c.Target)
	err := firstOf(wrong, checkWithin("--samples", float64(samples), 1, mostSamples),
		checkWithin("--limit", float64(limit), 1, bigPage))
	if err != nil {
		return err
	}
	way := newClient(target, 1, true, fillTimeout, time.Now())
	defer way.Close()
	client := &http.Client{Timeout: fillTimeout, Transport: way.http.Transport}
	size, users := uint64(limit), target+"/api/user"
	get := func(url string) (page, error) {
		if isClosed(e.Early) {
			return page{}, cluster.ErrInterrupted
		}
		return getPage(client, url)
	}
	head, err := get(fmt.Sprintf("%s?offset=0&limit=%d", users, limit))
	if err != nil {
		return err
	}
	if head.total < size {
		return fmt.Errorf("%w: %d users are stored, at least one page of %d is needed (bench fill makes them)",
			errPages, head.total, limit)
	}
	far, err := walkFar(get, users, limit, head.total)
	if err != nil {
		return err
	}
	spread := [3]*hdrhistogram.Histogram{}
	for k := range spread {
		spread[k] = hdrhistogram.New(1, time.Minute.Microseconds(), 3)
	}
	urls := [3]string{fmt.Sprintf("%s?offset=0&limit=%d", users, limit),
		fmt.Sprintf("%s?offset=%d&limit=%d", users, head.total-size, limit), far}
	for range samples {
		for k, url := range urls {
			got, err := get(url)
			if err != nil {
				return err
			}
			_ = spread[k].RecordValue(got.took.Microseconds()) // the client's time limit is within its range
			if k < 2 {
				continue
			}
			if urls[k] = got.next; got.next == "" { // at the end the walk goes back to where 20 pages are left
				urls[k] = far
			}
		}
	}
	names := strings.Split(fmt.Sprintf(pageNames, head.total-size), "|")
	text := spreadText(names, spread[:])
	_, err = fmt.Printf("LIST of %d users, limit %d, %d samples (ms)\n%s", head.total, limit, samples, text)
	return err
}

// walkFar returns the URL of the page behind which 20 pages are left to measure. A cursor comes only from the page
// before it: the walk begins with large pages.
func walkFar(get func(url string) (page, error), users string, limit int, total uint64) (string, error) {
	far := fmt.Sprintf("%s?after=&limit=%d", users, bigPage)
	for at := uint64(bigPage); at+20*uint64(limit) <= total; at += bigPage {
		got, err := get(far)
		if err != nil {
			return "", err
		}
		if far = got.next; far == "" {
			return "", fmt.Errorf("%w: the walk by cursor ends before %d users", errPages, at)
		}
	}
	return withLimit(far, limit)
}

// spreadText is a line for each kind of page, and how much the second costs over the first.
func spreadText(names []string, spread []*hdrhistogram.Histogram) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-24s %9s %9s %9s\n", "", "p50", "p99", "max")
	for k, h := range spread {
		fmt.Fprintf(&b, "%-24s %9.2f %9.2f %9.2f\n", names[k], float64(h.ValueAtQuantile(50))/1e3,
			float64(h.ValueAtQuantile(99))/1e3, float64(h.Max())/1e3)
	}
	near, far := spread[0].ValueAtQuantile(50), spread[1].ValueAtQuantile(50)
	fmt.Fprintf(&b, "ratio of the medians, end to begin: %.2f\n", float64(far)/float64(max(1, near)))
	return b.String()
}

// withLimit returns the URL of a page with another limit.
func withLimit(at string, limit int) (string, error) {
	page, err := url.Parse(at)
	if err != nil {
		return "", fmt.Errorf("%w: the link of the next page: %w", errPages, err)
	}
	query := page.Query()
	query.Set("limit", strconv.Itoa(limit))
	page.RawQuery = query.Encode()
	return page.String(), nil
}

// getPage fetches one page, all of it.
func getPage(client *http.Client, url string) (page, error) {
	begin := time.Now()
	answer, err := client.Get(url)
	if err != nil {
		return page{}, fmt.Errorf("%w: %w", errPages, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		why, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<10)) // the problem: why there is no page
		return page{}, fmt.Errorf("%w: %s: %s: %s", errPages, url, answer.Status, strings.TrimSpace(string(why)))
	}
	if _, err = io.Copy(io.Discard, answer.Body); err != nil {
		return page{}, fmt.Errorf("%w: %w", errPages, err)
	}
	got := page{took: time.Since(begin)}
	if got.total, err = strconv.ParseUint(answer.Header.Get("X-Total-Count"), 10, 64); err != nil {
		return page{}, fmt.Errorf("%w: X-Total-Count: %w", errPages, err)
	}
	got.next = nextPage(answer)
	return got, nil
}

// nextPage returns the URL of the next page that the Link header of an answer names, "" if there is none. A reference
// is relative to what was asked (RFC 8288, section 3.2; RFC 3986, section 5).
func nextPage(answer *http.Response) string {
	for _, link := range answer.Header.Values("Link") {
		for part := range strings.SplitSeq(link, ",") {
			reference, relation, _ := strings.Cut(strings.TrimSpace(part), ">;")
			if !strings.Contains(relation, `rel="next"`) {
				continue
			}
			if next, err := answer.Request.URL.Parse(strings.TrimPrefix(reference, "<")); err == nil {
				return next.String()
			}
		}
	}
	return ""
}
