#!/usr/bin/env node
/**
 * Prints what upload.html needs to store one object: a presigned PUT and the fields of a POST form, both good for
 * ten minutes. Runs where the secret key is; the browser never sees it.
 *
 *   eval "$(npx cairn env)" && node docs/examples/sign.js BUCKET KEY [MAX_BYTES]
 *
 * PUT is signed by the AWS SDK's own signer; the form after
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html.
 */
import { createHash, createHmac } from 'node:crypto'
import { SignatureV4 } from '@smithy/signature-v4'

const SECONDS = 600
const MAX_BYTES = 100 * 1024 * 1024

const [bucket, key, maxBytes = String(MAX_BYTES)] = process.argv.slice(2)
// biome-ignore lint/style/noProcessEnv: a command of its own reads it here and nowhere else.
const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL, AWS_REGION = 'us-east-1' } = process.env
if (!bucket || !key || !AWS_ACCESS_KEY_ID || !AWS_SECRET_ACCESS_KEY || !AWS_ENDPOINT_URL) {
  process.stderr.write('usage: eval "$(npx cairn env)" && node sign.js BUCKET KEY [MAX_BYTES]\n')
  process.exit(1)
}

const credentials = { accessKeyId: AWS_ACCESS_KEY_ID, secretAccessKey: AWS_SECRET_ACCESS_KEY }
const endpoint = new URL(AWS_ENDPOINT_URL)
process.stdout.write(`${JSON.stringify({ put: await signPut(), post: signPost() }, undefined, 2)}\n`)

async function signPut() {
  const signer = new SignatureV4({
    service: 's3',
    region: AWS_REGION,
    credentials,
    sha256: Sha256,
    uriEscapePath: false,
  })
  const path = `/${[bucket, ...key.split('/')].map(encodeURIComponent).join('/')}`
  const signed = await signer.presign(
    {
      method: 'PUT',
      protocol: endpoint.protocol,
      hostname: endpoint.hostname,
      port: endpoint.port === '' ? undefined : Number(endpoint.port),
      path,
      query: {},
      headers: { host: endpoint.host, 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' },
    },
    { expiresIn: SECONDS, unsignableHeaders: new Set(['x-amz-content-sha256']) },
  )
  const query = Object.entries(signed.query).map((pair) => pair.map(encodeURIComponent).join('='))
  return `${endpoint.origin}${path}?${query.join('&')}`
}

function signPost() {
  const date = `${new Date().toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`
  const scope = [date.slice(0, 8), AWS_REGION, 's3', 'aws4_request']
  const fields = {
    key,
    success_action_status: '201',
    'x-amz-algorithm': 'AWS4-HMAC-SHA256',
    'x-amz-credential': [AWS_ACCESS_KEY_ID, ...scope].join('/'),
    'x-amz-date': date,
  }
  const policy = {
    expiration: new Date(Date.now() + SECONDS * 1000).toISOString(),
    conditions: [
      { bucket },
      ...Object.entries(fields).map(([name, value]) => ({ [name]: value })),
      ['content-length-range', 0, Number(maxBytes)],
    ],
  }
  const encoded = Buffer.from(JSON.stringify(policy)).toString('base64')
  const signingKey = scope.reduce((secret, step) => hmac(secret, step), `AWS4${AWS_SECRET_ACCESS_KEY}`)
  const signature = hmac(signingKey, encoded).toString('hex')
  return {
    url: `${endpoint.origin}/${bucket}`,
    fields: { ...fields, policy: encoded, 'x-amz-signature': signature },
  }
}

function hmac(secret, text) {
  return createHmac('sha256', secret).update(text).digest()
}

/** The hash as the SDK's signer wants it. */
function Sha256(secret) {
  const hash = secret === undefined ? createHash('sha256') : createHmac('sha256', secret)
  return { update: (data) => void hash.update(data), digest: async () => hash.digest() }
}
