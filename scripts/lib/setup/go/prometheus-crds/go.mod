module prometheus-crds

go 1.25.7

require github.com/prometheus-operator/prometheus-operator v0.88.0
