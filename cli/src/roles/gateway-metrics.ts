/** Metrics of a gateway's load. */
import type { Gateway } from '@cairn/gateway'
import type { Metrics } from '../metrics.js'

/** Adds what the gateway carries now, and what it has refused. */
export function addGatewayMetrics(metrics: Metrics, gateway: Gateway): void {
  metrics.add({
    name: 'cairn_gateway_requests',
    help: 'Requests under way and waiting for their turn.',
    kind: 'gauge',
    labels: ['state'],
    read: () => {
      const { running, waiting } = gateway.load()
      return [
        { labels: { state: 'running' }, value: running },
        { labels: { state: 'waiting' }, value: waiting },
      ]
    },
  })
  metrics.add({
    name: 'cairn_gateway_refused_total',
    help: 'Requests answered SlowDown because too many waited.',
    kind: 'counter',
    read: () => [{ value: gateway.load().refused }],
  })
  metrics.add({
    name: 'cairn_gateway_connections',
    help: 'Open connections of clients.',
    kind: 'gauge',
    read: () => [{ value: gateway.load().connections }],
  })
}
