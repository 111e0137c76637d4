import { expect } from 'chai'
import { createMetrics, type RequestSample } from '../src/metrics.js'

const SAMPLE: RequestSample = {
  bucket: 'bucket',
  operation: 'GetObject',
  status: 200,
  durationMs: 2,
  bytesIn: 0,
  bytesOut: 4096,
}

describe('metrics of requests', () => {
  it('add up by bucket, operation, status and direction, over any number of scrapes', async () => {
    const metrics = createMetrics()
    metrics.observeRequest(SAMPLE)
    metrics.observeRequest({ ...SAMPLE, status: 404, bytesOut: 100 })
    await metrics.render()
    metrics.observeRequest(SAMPLE)
    metrics.observeRequest({ ...SAMPLE, operation: 'PutObject', bytesIn: 7, bytesOut: 0 })
    await metrics.render()
    const lines = (await metrics.render()).split('\n')
    expect(lines).to.include.members([
      's3_requests_total{bucket="bucket",operation="GetObject",status="200"} 2',
      's3_requests_total{bucket="bucket",operation="GetObject",status="404"} 1',
      's3_requests_total{bucket="bucket",operation="PutObject",status="200"} 1',
      's3_bytes_total{bucket="bucket",direction="in"} 7',
      's3_bytes_total{bucket="bucket",direction="out"} 8292',
      's3_request_duration_seconds_count{operation="GetObject"} 3',
      's3_request_duration_seconds_bucket{le="0.001",operation="GetObject"} 0',
      's3_request_duration_seconds_bucket{le="0.0025",operation="GetObject"} 3',
    ])
  })

  it('give no label to a bucket that never answered', async () => {
    const metrics = createMetrics()
    metrics.observeRequest({ ...SAMPLE, bucket: 'made-up', status: 404 })
    const text = await metrics.render()
    expect(text).to.include('s3_requests_total{bucket="",operation="GetObject",status="404"} 1')
    expect(text).not.to.include('made-up')
  })
})
