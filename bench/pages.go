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
)

// errPages is the class of a LIST that could not be measured.
var errPages = errors.New("cannot measure LIST")

// bigPage is the largest page that may be asked for.
const bigPage = 1000

// page is what came of one LIST.
type page struct {
	total uint64
	next  string // path of the page behind it; "" if there is none
	took  time.Duration
}

// measurePages takes the latency of LIST at offset 0 and near the end, in turn so that both meet the same machine, and of a walk by
// cursor over the last pages, and prints them.
func measurePages(target string, samples, limit int) error {
	target = strings.TrimSuffix(target, "/")
	client := &http.Client{Timeout: 10 * time.Second}
	head, err := getPage(client, target+fmt.Sprintf("/api/user?offset=0&limit=%d", limit))
	if err != nil {
		return err
	}
	if head.total < uint64(limit) {
		return fmt.Errorf("%w: %d users are stored, at least one page of %d is needed (bench fill makes them)", errPages, head.total, limit)
	}
	names := [3]string{"offset 0", fmt.Sprintf("offset %d", head.total-uint64(limit)), "by cursor near the end"}
	paths := [3]string{}
	paths[0] = fmt.Sprintf("/api/user?offset=0&limit=%d", limit)
	paths[1] = fmt.Sprintf("/api/user?offset=%d&limit=%d", head.total-uint64(limit), limit)
	spread := [3]*hdrhistogram.Histogram{}
	for k := range spread {
		spread[k] = hdrhistogram.New(1, time.Minute.Microseconds(), 3)
	}
	far, err := walkFar(client, target, head.total-min(head.total, uint64(20*limit)), limit)
	if err != nil {
		return err
	}
	paths[2] = far
	for range samples {
		for k, path := range paths {
			got, err := getPage(client, target+path)
			if err != nil {
				return err
			}
			_ = spread[k].RecordValue(got.took.Microseconds()) // the client's time limit is within its range
			if k < 2 {
				continue
			}
			if paths[k] = got.next; got.next == "" { // at the end the walk goes back to where it is far
				paths[k] = far
			}
		}
	}
	fmt.Printf("LIST of %d users, limit %d, %d samples (ms)\n%-24s %9s %9s %9s\n", head.total, limit, samples, "", "p50", "p99", "max")
	for k, h := range spread {
		fmt.Printf("%-24s %9.2f %9.2f %9.2f\n", names[k], float64(h.ValueAtQuantile(50))/1e3, float64(h.ValueAtQuantile(99))/1e3, float64(h.Max())/1e3)
	}
	fmt.Printf("ratio of the medians, end to begin: %.2f\n", float64(spread[1].ValueAtQuantile(50))/float64(max(1, spread[0].ValueAtQuantile(50))))
	return nil
}

// walkFar walks by cursor, with large pages, until less than a large page is left before offset, and returns the path of the
// next page by that cursor with limit users. There is no shorter way: a cursor comes only from the page before it.
func walkFar(client *http.Client, target string, offset uint64, limit int) (string, error) {
	path := fmt.Sprintf("/api/user?after=&limit=%d", limit)
	for at := uint64(0); at+bigPage <= offset; at += bigPage {
		big, err := url.Parse(path)
		if err != nil {
			return "", fmt.Errorf("%w: the link of the next page: %w", errPages, err)
		}
		query := big.Query()
		query.Set("limit", strconv.Itoa(bigPage))
		big.RawQuery = query.Encode()
		got, err := getPage(client, target+big.String())
		if err != nil {
			return "", err
		}
		if path = got.next; path == "" {
			return "", fmt.Errorf("%w: the walk by cursor ends after %d users", errPages, at)
		}
	}
	last, err := url.Parse(path)
	if err != nil {
		return "", fmt.Errorf("%w: the link of the next page: %w", errPages, err)
	}
	query := last.Query()
	query.Set("limit", strconv.Itoa(limit))
	last.RawQuery = query.Encode()
	return last.String(), nil
}

// getPage fetches one page, all of it.
func getPage(client *http.Client, url string) (page, error) {
	begin := time.Now()
	answer, err := client.Get(url)
	if err != nil {
		return page{}, fmt.Errorf("%w: %w", errPages, err)
	}
	defer answer.Body.Close()
	if _, err = io.Copy(io.Discard, answer.Body); err != nil {
		return page{}, fmt.Errorf("%w: %w", errPages, err)
	}
	got := page{took: time.Since(begin)}
	if answer.StatusCode != http.StatusOK {
		return page{}, fmt.Errorf("%w: %s: %s", errPages, url, answer.Status)
	}
	if got.total, err = strconv.ParseUint(answer.Header.Get("X-Total-Count"), 10, 64); err != nil {
		return page{}, fmt.Errorf("%w: X-Total-Count: %w", errPages, err)
	}
	for _, link := range answer.Header.Values("Link") {
		for part := range strings.SplitSeq(link, ",") {
			path, relation, _ := strings.Cut(strings.TrimSpace(part), ">;")
			if strings.Contains(relation, `rel="next"`) {
				got.next = strings.TrimPrefix(path, "<")
			}
		}
	}
	return got, nil
}
