// A stub of an API server and of the kubelet behind it, for streams: exec, attach and port-forward of one pod.
//
// What is real is the streaming: k8s.io/cri-streaming, which kubelets answer with, and k8s.io/apiserver's translation of
// WebSocket to it. The container is a process of this machine; on a terminal it tells the terminal's sizes instead.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"time"

	apiproxy "k8s.io/apimachinery/pkg/util/proxy"
	"k8s.io/apiserver/pkg/util/proxy"
	"k8s.io/cri-streaming/pkg/streaming/portforward"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	"k8s.io/streaming/pkg/httpstream/wsstream"
	utilexec "k8s.io/utils/exec"
)

// container runs commands and takes connections.
type container struct {
	user string
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: kubelet CERTIFICATE KEY")
		os.Exit(2)
	}
	kubelet, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	go func() { check(http.Serve(kubelet, http.HandlerFunc(serveKubelet))) }()
	server, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	fmt.Printf("serving on https://%s\n", server.Addr())
	handler := serveAPI(&url.URL{Scheme: "http", Host: kubelet.Addr().String()})
	check(http.ServeTLS(server, handler, os.Args[1], os.Args[2]))
}

// serveAPI is the API server: objects itself, streams of WebSockets in translation, other streams as they are.
func serveAPI(kubelet *url.URL) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		location := *kubelet
		query := req.URL.Query()
		query.Set("caller", req.Header.Get("Impersonate-User"))
		location.Path, location.RawQuery = req.URL.Path, query.Encode()
		delegate := apiproxy.NewUpgradeAwareHandler(&location, http.DefaultTransport, false, true, responder{})
		websocket := wsstream.IsWebSocketRequest(req)
		switch {
		case strings.HasSuffix(req.URL.Path, "/exec"), strings.HasSuffix(req.URL.Path, "/attach"):
			if websocket && wsstream.IsWebSocketRequestWithStreamCloseProtocol(req) {
				on := func(name string) bool { return query.Get(name) == "true" || query.Get(name) == "1" }
				streams := proxy.Options{Stdin: on("stdin"), Stdout: on("stdout"), Stderr: on("stderr"), Tty: on("tty")}
				proxy.NewStreamTranslatorHandler(&location, http.DefaultTransport, 0, streams).ServeHTTP(w, req)
				return
			}
			delegate.ServeHTTP(w, req)
		case strings.HasSuffix(req.URL.Path, "/portforward"):
			if websocket && wsstream.IsWebSocketRequestWithTunnelingProtocol(req) {
				proxy.NewTunnelingHandler(delegate).ServeHTTP(w, req)
				return
			}
			delegate.ServeHTTP(w, req)
		default:
			serveObject(w, req)
		}
	})
}

type responder struct{}

func (responder) Error(w http.ResponseWriter, _ *http.Request, err error) {
	http.Error(w, err.Error(), http.StatusBadGateway)
}

// serveKubelet streams.
func serveKubelet(w http.ResponseWriter, req *http.Request) {
	query := req.URL.Query()
	inside := container{user: query.Get("caller")}
	if strings.HasSuffix(req.URL.Path, "/portforward") {
		options, err := portforward.NewV4Options(req)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		portforward.ServePortForward(w, req, inside, "pod", "uid", options, time.Hour, time.Minute,
			portforward.SupportedProtocols)
		return
	}
	on := func(name string) bool { return query.Get(name) == "true" || query.Get(name) == "1" }
	options := &remotecommand.Options{
		Stdin: on("stdin"), Stdout: on("stdout"), Stderr: on("stderr") && !on("tty"), TTY: on("tty"),
	}
	if strings.HasSuffix(req.URL.Path, "/attach") {
		remotecommand.ServeAttach(w, req, inside, "pod", "uid", "main", options, time.Hour, time.Minute,
			remotecommand.SupportedStreamingProtocols)
		return
	}
	remotecommand.ServeExec(w, req, inside, "pod", "uid", "main", query["command"], options, time.Hour, time.Minute,
		remotecommand.SupportedStreamingProtocols)
}

// ExecInContainer runs a command, or tells a terminal's sizes until the input says quit.
func (c container) ExecInContainer(
	ctx context.Context, _, _, _ string, command []string, in io.Reader, out, errOut io.WriteCloser, tty bool,
	resize <-chan remotecommand.TerminalSize, _ time.Duration,
) error {
	if tty {
		return sizes(in, out, resize)
	}
	process := exec.CommandContext(ctx, command[0], command[1:]...)
	process.Env = append(os.Environ(), "CALLER="+c.user)
	process.Stdout, process.Stderr = out, errOut
	if in != nil {
		// Not process.Stdin: Wait would wait for a client that sends no end although the command is done.
		pipe, err := process.StdinPipe()
		if err != nil {
			return err
		}
		go func() {
			_, _ = io.Copy(pipe, in)
			_ = pipe.Close()
		}()
	}
	err := process.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return utilexec.CodeExitError{Err: err, Code: exit.ExitCode()}
	}
	return err
}

// AttachContainer gives back what it gets until there is no more, and says how much it was.
func (c container) AttachContainer(
	_ context.Context, _, _, _ string, in io.Reader, out, _ io.WriteCloser, tty bool,
	resize <-chan remotecommand.TerminalSize,
) error {
	if tty {
		return sizes(in, out, resize)
	}
	copied, err := io.Copy(out, in)
	if err == nil {
		_, err = fmt.Fprintf(out, "%d bytes of %s\n", copied, c.user)
	}
	return err
}

func sizes(in io.Reader, out io.Writer, resize <-chan remotecommand.TerminalSize) error {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		one := make([]byte, 1)
		for {
			if _, err := in.Read(one); err != nil || one[0] == 'q' {
				return
			}
		}
	}()
	for {
		select {
		case size, more := <-resize:
			if !more {
				return nil
			}
			if _, err := fmt.Fprintf(out, "size %dx%d\r\n", size.Width, size.Height); err != nil {
				return err
			}
		case <-ended:
			return utilexec.CodeExitError{Err: errors.New("quit"), Code: 7}
		}
	}
}

// PortForward connects to the port on this machine.
func (container) PortForward(_ context.Context, _, _ string, port int32, stream io.ReadWriteCloser) error {
	defer stream.Close()
	there, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return err
	}
	defer there.Close()
	go func() {
		_, _ = io.Copy(there, stream)
		_ = there.(*net.TCPConn).CloseWrite()
	}()
	_, err = io.Copy(stream, there)
	return err
}

// serveObject answers what kubectl asks before it streams.
func serveObject(w http.ResponseWriter, req *http.Request) {
	type object = map[string]any
	var answer object
	switch path := req.URL.Path; {
	case path == "/version":
		answer = object{"major": "1", "minor": "37", "gitVersion": "v1.37.2"}
	case path == "/api":
		answer = object{"kind": "APIVersions", "versions": []string{"v1"}}
	case path == "/apis":
		answer = object{"kind": "APIGroupList", "apiVersion": "v1", "groups": []any{}}
	case path == "/api/v1":
		answer = object{"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "v1", "resources": []any{
			object{"name": "pods", "singularName": "pod", "namespaced": true, "kind": "Pod", "verbs": []string{"get", "list"}},
			object{"name": "namespaces", "singularName": "namespace", "namespaced": false, "kind": "Namespace", "verbs": []string{"get"}},
		}}
	case strings.HasPrefix(path, "/api/v1/namespaces/default/pods/"):
		main := object{"name": "main", "image": "none", "stdin": true, "tty": req.URL.Query().Get("tty") != ""}
		answer = object{
			"kind": "Pod", "apiVersion": "v1",
			"metadata": object{"name": strings.TrimPrefix(path, "/api/v1/namespaces/default/pods/"), "namespace": "default"},
			"spec":     object{"containers": []any{main}},
			"status":   object{"phase": "Running", "containerStatuses": []any{object{"name": "main", "ready": true}}},
		}
	default:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		_ = json.NewEncoder(w).Encode(object{"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404,
			"reason": "NotFound", "message": path + " is not there"})
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
