/**
 * `node bench/dist/src/fill.js`: stores many small objects at a steady number of connections, then prints one JSON
 * line {requests, seconds, perSecond}. Used to build large stores.
 */
import { randomBytes } from 'node:crypto'
import { parseArgs } from 'node:util'
import { runClosedLoop } from './load/closed-loop.js'
import { signedHead } from './load/signer.js'
import type { WorkItem } from './load/work.js'
import type { Target } from './target.js'

const { values } = parseArgs({
  options: {
    endpoint: { type: 'string', default: '' },
    'access-key': { type: 'string', default: '' },
    'secret-key': { type: 'string', default: '' },
    region: { type: 'string', default: 'us-east-1' },
    bucket: { type: 'string', default: 'fill' },
    objects: { type: 'string', default: '1000' },
    size: { type: 'string', default: '100' },
    connections: { type: 'string', default: '64' },
  },
})

const objects = Number(values.objects)
const body = randomBytes(Number(values.size))
const target: Target = {
  name: 'fill',
  endpoint: values.endpoint,
  accessKey: values['access-key'],
  secretKey: values['secret-key'],
  region: values.region,
  pids: [],
  contract: '',
}

function* puts(): Iterable<WorkItem> {
  for (let index = 0; index < objects; index++) {
    const path = `/${values.bucket}/${Math.floor(index / 1000)}/object-${index}`
    const head = signedHead(target, { method: 'PUT', path, contentLength: body.length })
    yield { request: { head, body }, status: 200 }
  }
}

const { endpoint } = target
const result = await runClosedLoop({ endpoint, connections: Number(values.connections), items: puts() })
const { requests, seconds, perSecond } = result
process.stdout.write(`${JSON.stringify({ requests, seconds, perSecond })}\n`)
