package main

import (
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"net/url"
	"os"
	"path"
	"strconv"
	"strings"
	"syscall"
)

// The statuses that are answered.
const (
	statusOK        = "200 OK"
	statusPartial   = "206 Partial Content"
	statusBad       = "400 Bad Request"
	statusForbidden = "403 Forbidden"
	statusNotFound  = "404 Not Found"
	statusMethod    = "405 Method Not Allowed"
	statusBadRange  = "416 Range Not Satisfiable"
	statusTooLarge  = "431 Request Header Fields Too Large"
	statusBusy      = "503 Service Unavailable"
	statusVersion   = "505 HTTP Version Not Supported"
)

// request is what of a request matters.
type request struct {
	path        string // below the root
	head        bool   // HEAD, not GET
	keep        bool   // the connection is used again
	ranged      bool
	first, last int64 // of the range; -1: not given
}

// parse reads the head of a request. A status other than "" is the answer.
func parse(text string) (request, string) {
	lines := strings.Split(text, "\r\n")
	words := strings.Split(lines[0], " ")
	if len(words) != 3 {
		return request{}, statusBad
	}
	r := request{head: words[0] == "HEAD", keep: words[2] == "HTTP/1.1"}
	for _, line := range lines[1:] {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return request{}, statusBad
		}
		value = strings.TrimSpace(value)
		switch strings.ToLower(name) {
		case "connection":
			r.keep = r.keep && !strings.EqualFold(value, "close")
		case "range":
			r.first, r.last, r.ranged = parseRange(value)
		case "content-length", "transfer-encoding":
			if value != "0" {
				return request{}, statusBad // of bodies nothing is known here
			}
		}
	}
	target, err := url.ParseRequestURI(words[1])
	switch {
	case words[2] != "HTTP/1.1" && words[2] != "HTTP/1.0":
		return request{}, statusVersion
	case words[0] != "GET" && !r.head:
		return r, statusMethod
	case err != nil:
		return r, statusBad
	}
	r.path = strings.TrimPrefix(path.Clean("/"+target.Path), "/")
	return r, ""
}

// parseRange reads "bytes=first-last", where one of the two may be missing. What is
// not understood is ignored, as RFC 9110 wants it.
func parseRange(value string) (first, last int64, ok bool) {
	value, ok = strings.CutPrefix(value, "bytes=")
	from, to, dash := strings.Cut(value, "-")
	first, last = -1, -1
	var errs [2]error
	if from != "" {
		first, errs[0] = strconv.ParseInt(from, 10, 64)
	}
	if to != "" {
		last, errs[1] = strconv.ParseInt(to, 10, 64)
	}
	ok = ok && dash && errs[0] == nil && errs[1] == nil && (from != "" || to != "") &&
		(from == "" || to == "" || first <= last)
	return first, last, ok
}

// within returns the part of a file of that size that is asked for.
func (r request) within(size int64) (first, count int64, status string) {
	switch {
	case !r.ranged:
		return 0, size, statusOK
	case r.first < 0 && r.last > 0 && size > 0: // the last bytes
		count = min(r.last, size)
		return size - count, count, statusPartial
	case r.first < 0 || r.first >= size:
		return 0, 0, statusBadRange
	case r.last < 0 || r.last >= size:
		return r.first, size - r.first, statusPartial
	}
	return r.first, r.last - r.first + 1, statusPartial
}

// head is the head of an answer with a file.
func head(status, name string, first, count, size int64, keep bool) []byte {
	kind := mime.TypeByExtension(path.Ext(name))
	if kind == "" {
		kind = "application/octet-stream"
	}
	h := fmt.Sprintf("HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n"+
		"Accept-Ranges: bytes\r\n", status, kind, count)
	if status == statusPartial {
		h += fmt.Sprintf("Content-Range: bytes %d-%d/%d\r\n", first, first+count-1, size)
	}
	return []byte(h + ending(keep))
}

// plain is an answer without a file.
func plain(status string, keep bool) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 %s\r\nContent-Length: 0\r\n%s", status, ending(keep))
}

// badRange is the answer to a range beyond the end.
func badRange(size int64, keep bool) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 %s\r\nContent-Range: bytes */%d\r\n"+
		"Content-Length: 0\r\n%s", statusBadRange, size, ending(keep))
}

// ending ends the head of an answer.
func ending(keep bool) string {
	if keep {
		return "\r\n"
	}
	return "Connection: close\r\n\r\n"
}

// statusOf is what the client is told of an error.
func statusOf(err error) string {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return statusForbidden
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return statusBusy
	}
	return statusNotFound
}

// openFile opens a regular file. Opening a pipe would wait for its writer, so it is
// looked at first.
func openFile(root *os.Root, name string) (*os.File, int64, error) {
	info, err := root.Stat(name)
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, fs.ErrNotExist
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, 0, err
	}
	return f, info.Size(), nil
}
