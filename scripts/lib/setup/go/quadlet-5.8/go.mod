module mini-api/quadlet-5.8

go 1.24.2

require (
	github.com/containers/podman/v5 v5.8.2
	go.podman.io/storage v1.62.0 // indirect
)
