// CoreDNS with what a cluster for tests asks of it, and without the plugins for vendors' clouds.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/loadbalance"
	_ "github.com/coredns/coredns/plugin/ready"
)

func main() {
	// The order in which they see a question.
	dnsserver.Directives = []string{"ready", "errors", "loadbalance", "kubernetes"}
	coremain.Run()
}
