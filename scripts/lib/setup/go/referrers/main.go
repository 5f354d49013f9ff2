// referrers ADDRESS FOLDER CERTIFICATE KEY: a registry over TLS that answers the referrers API itself, for tests.
package main

import (
	"log"
	"net/http"
	"os"

	"github.com/google/go-containerregistry/pkg/registry"
)

func main() {
	if len(os.Args) != 5 {
		log.Fatal("usage: referrers ADDRESS FOLDER CERTIFICATE KEY")
	}
	blobs := registry.NewDiskBlobHandler(os.Args[2])
	handler := registry.New(registry.WithReferrersSupport(true), registry.WithBlobHandler(blobs))
	log.Fatal(http.ListenAndServeTLS(os.Args[1], os.Args[3], os.Args[4], handler))
}
