/**
 * `node bench/dist/src/fill.js`: stores many small objects at a steady number of connections, then prints one JSON
 * line {requests, seconds, perSecond}. Used to build large stores.
 */
import { randomBytes } from 'node:crypto'
import { parseArgs } from 'node:util'
import { runLoad } from './load.js'
import { signedHead } from './signer.js'

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

const target = {
  endpoint: values.endpoint,
  accessKey: values['access-key'],
  secretKey: values['secret-key'],
  region: values.region,
}
const body = randomBytes(Number(values.size))

const result = await runLoad({
  endpoint: target.endpoint,
  connections: Number(values.connections),
  requests: Number(values.objects),
  expectStatus: 200,
  pids: [],
  prepare: (index) => {
    const path = `/${values.bucket}/${Math.floor(index / 1000)}/object-${index}`
    return { head: signedHead(target, 'PUT', path, '', body.length), body }
  },
})
process.stdout.write(
  `${JSON.stringify({ requests: result.requests, seconds: result.seconds, perSecond: result.perSecond })}\n`,
)
