/** Two gateways of a store in memory, right or wrong in one way: to see what loads find. */
import { createHash } from 'node:crypto'
import { createSeeded } from '../../../src/harness/seeded.js'
import type { Answer, SendOptions, SignedClient } from '../../../src/harness/signed-client.js'

/** What is wrong with the store. */
export const FAKE_BUGS = [
  'loses acknowledged writes',
  'shows the state before',
  'shows what was deleted',
  'flips a bit',
  'lists too little',
] as const
export type FakeBug = (typeof FAKE_BUGS)[number]

const BUG_SHARE = 0.3

interface Stored {
  readonly body: Buffer
  readonly etag: string
  readonly op: string
}

/** For load: every request is answered at once. */
export function fakeGateways(bug?: FakeBug): SignedClient[] {
  const store = new FakeStore(bug)
  return [1, 2].map((number) => ({
    endpoint: `http://gateway-${number}`,
    send: async (method, path, options) => store.answer(method, path, options ?? {}),
    close: () => undefined,
  }))
}

class FakeStore {
  private readonly bug: FakeBug | undefined
  private readonly seeded = createSeeded()
  private readonly current = new Map<string, Stored>()
  private readonly before = new Map<string, Stored | undefined>()
  private readonly uploads = new Map<string, { readonly op: string; readonly parts: Buffer[] }>()

  constructor(bug: FakeBug | undefined) {
    this.bug = bug
  }

  answer(method: string, target: string, { headers = {}, body = new Uint8Array() }: SendOptions): Answer {
    const url = new URL(target, 'http://fake')
    const key = url.pathname.split('/').slice(2).join('/')
    if (url.searchParams.has('uploads')) return this.begin(headers)
    const upload = this.uploads.get(url.searchParams.get('uploadId') ?? '')
    if (upload !== undefined && method === 'PUT') return this.takePart(upload.parts, body)
    if (upload !== undefined) return this.put(key, storedUpload(upload.op, upload.parts), headers)
    if (key === '') return method === 'GET' ? this.list(url.searchParams.get('prefix') ?? '') : answerOf(200)
    if (method === 'PUT') return this.put(key, stored(headers['x-amz-meta-op'] ?? '', body), headers)
    if (method === 'DELETE') return this.remove(key)
    return this.get(key)
  }

  private strikes(bug: FakeBug): boolean {
    return this.bug === bug && this.seeded.fraction() < BUG_SHARE
  }

  private begin(headers: Readonly<Record<string, string>>): Answer {
    const id = String(this.uploads.size)
    this.uploads.set(id, { op: headers['x-amz-meta-op'] ?? '', parts: [] })
    return answerOf(200, `<UploadId>${id}</UploadId>`)
  }

  private takePart(parts: Buffer[], body: Uint8Array): Answer {
    parts.push(Buffer.from(body))
    return answerOf(200, '', { etag: `"${md5(body)}"` })
  }

  private put(key: string, value: Stored, headers: Readonly<Record<string, string>>): Answer {
    const old = this.current.get(key)
    const wanted = headers['if-match']
    if (headers['if-none-match'] === '*' && old !== undefined) return answerOf(412)
    if (wanted !== undefined && wanted !== `"${old?.etag}"`) return answerOf(412)
    if (!this.strikes('loses acknowledged writes')) this.change(key, value)
    return answerOf(200)
  }

  private remove(key: string): Answer {
    this.change(key, undefined)
    return answerOf(204)
  }

  private change(key: string, value: Stored | undefined): void {
    this.before.set(key, this.current.get(key))
    if (value === undefined) this.current.delete(key)
    else this.current.set(key, value)
  }

  private get(key: string): Answer {
    const now = this.current.get(key)
    const shown = this.strikes('shows the state before') ? this.before.get(key) : now
    const isBack = now === undefined && this.strikes('shows what was deleted')
    const found = isBack ? this.before.get(key) : shown
    if (found === undefined) return answerOf(404)
    const body = Buffer.from(found.body)
    if (this.strikes('flips a bit')) body[0] = (body[0] ?? 0) ^ 1
    return { ...answerOf(200, '', { etag: `"${found.etag}"`, 'x-amz-meta-op': found.op }), body }
  }

  private list(prefix: string): Answer {
    const keys = [...this.current.keys()].filter((key) => key.startsWith(prefix)).sort()
    const shown = this.strikes('lists too little') ? keys.slice(1) : keys
    const entries = shown.map(
      (key) => `<Key>${key}</Key><ETag>&quot;${this.current.get(key)?.etag}&quot;</ETag>`,
    )
    return answerOf(200, entries.join(''))
  }
}

function stored(op: string, bytes: Uint8Array): Stored {
  return { op, body: Buffer.from(bytes), etag: md5(bytes) }
}

function storedUpload(op: string, parts: readonly Buffer[]): Stored {
  const tags = parts.map((part) => Buffer.from(md5(part), 'hex'))
  return { op, body: Buffer.concat(parts), etag: `${md5(Buffer.concat(tags))}-${parts.length}` }
}

function answerOf(status: number, body = '', headers: Readonly<Record<string, string>> = {}): Answer {
  return { status, headers, body: Buffer.from(body) }
}

function md5(bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('hex')
}
