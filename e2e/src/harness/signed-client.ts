/** A small S3 client for load: signs by Signature Version 4, keeps connections, tries once, and gives up in time. */
import { createHash, createHmac } from 'node:crypto'
import { Agent, type RequestOptions, request } from 'node:http'

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

export interface SendOptions {
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array
  readonly timeoutMs?: number
}

export interface SignedClient {
  readonly endpoint: string
  /** One request; `path` with its query, encoded. Rejects if there was no whole answer in time. */
  send(method: string, path: string, options?: SendOptions): Promise<Answer>
  close(): void
}

interface Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

const TIMEOUT_MS = 10_000
const SOCKETS_MAX = 64

/** For one endpoint and one account. */
export function createSignedClient(endpoint: string, credentials: Credentials): SignedClient {
  const agent = new Agent({ keepAlive: true, maxSockets: SOCKETS_MAX })
  const { host, hostname, port } = new URL(endpoint)
  return {
    endpoint,
    send(method, path, { headers = {}, body, timeoutMs = TIMEOUT_MS } = {}) {
      const signed = sign({ method, path, headers: { ...headers, host }, body }, credentials)
      const options = { hostname, port, method, path, agent, headers: signed }
      return exchange(options, body, timeoutMs)
    },
    close: () => agent.destroy(),
  }
}

function exchange(options: RequestOptions, body: Uint8Array | undefined, timeoutMs: number): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(options, (answer) => {
      const pieces: Buffer[] = []
      answer.on('data', (piece: Buffer) => pieces.push(piece))
      answer.on('error', reject)
      answer.on('close', () => {
        clearTimeout(timer)
        if (!answer.complete) return reject(new Error('the answer ended early'))
        const headers = answer.headers as Record<string, string>
        resolve({ status: answer.statusCode ?? 0, headers, body: Buffer.concat(pieces) })
      })
    })
    const timer = setTimeout(() => sent.destroy(new Error(`no answer in ${timeoutMs} ms`)), timeoutMs)
    sent.on('error', (error) => {
      clearTimeout(timer)
      reject(error)
    })
    sent.end(body)
  })
}

interface Unsigned {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array | undefined
}

/** All headers are signed. Source: AWS, "Create a signed AWS API request". */
function sign({ method, path, headers, body }: Unsigned, credentials: Credentials): Record<string, string> {
  const hash = createHash('sha256')
    .update(body ?? '')
    .digest('hex')
  const date = new Date().toISOString().replace(/[-:]|\.\d+/g, '')
  const all: Record<string, string> = {
    ...headers,
    'x-amz-content-sha256': hash,
    'x-amz-date': date,
    ...(body === undefined ? {} : { 'content-length': String(body.length) }),
  }
  const names = Object.keys(all).sort()
  const [pathname = '', query = ''] = path.split('?')
  const canonical = [
    method,
    pathname,
    query.split('&').map(withValue).sort().join('&'),
    ...names.map((name) => `${name}:${all[name]}`),
    '',
    names.join(';'),
    hash,
  ].join('\n')
  const scope = `${date.slice(0, 8)}/us-east-1/s3/aws4_request`
  const text = `AWS4-HMAC-SHA256\n${date}\n${scope}\n${createHash('sha256').update(canonical).digest('hex')}`
  const key = scope
    .split('/')
    .reduce<string | Buffer>((under, part) => hmac(under, part), `AWS4${credentials.secretAccessKey}`)
  const signature = hmac(key, text).toString('hex')
  const authorization = `AWS4-HMAC-SHA256 Credential=${credentials.accessKeyId}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`
  return { ...all, authorization }
}

function withValue(parameter: string): string {
  return parameter === '' || parameter.includes('=') ? parameter : `${parameter}=`
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}
