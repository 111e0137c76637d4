/** What is measured: any S3 endpoint, and the processes behind it. */

export interface Target {
  /** As the report shows it. */
  readonly name: string
  /** For example `http://127.0.0.1:9000`. Plain HTTP: TLS would measure the client. */
  readonly endpoint: string
  readonly accessKey: string
  readonly secretKey: string
  readonly region: string
  /** Server processes on this machine, whose CPU and memory are counted; may be empty. */
  readonly pids: readonly number[]
  /** The same by what they are, where that was said: their CPU is told apart, too. */
  readonly parts?: Readonly<Record<string, readonly number[]>>
  /** What an acknowledgement means there, for the report: `3 copies, fsync`. */
  readonly contract: string
}

const FIELDS = ['name', 'endpoint', 'access-key', 'secret-key', 'region', 'pids', 'contract'] as const

/** Reads `name=…,endpoint=…,access-key=…,secret-key=…[,region=…][,pids=1+2][,contract=…]`; a pid as `1` or `gateway:1`. */
export function parseTarget(text: string): Target {
  const values = new Map<string, string>()
  for (const part of text.split(',')) {
    const at = part.indexOf('=')
    const field = part.slice(0, at)
    if (at < 1 || !FIELDS.some((known) => known === field)) throw new Error(`--target: what is "${part}"?`)
    values.set(field, part.slice(at + 1))
  }
  const need = (field: (typeof FIELDS)[number]): string => {
    const value = values.get(field)
    if (value === undefined || value === '') throw new Error(`--target: ${field} is missing`)
    return value
  }
  const endpoint = need('endpoint').replace(/\/$/, '')
  if (!/^http:\/\/[^/]+$/.test(endpoint)) throw new Error(`--target: endpoint must be http://host:port`)
  return {
    name: need('name'),
    endpoint,
    accessKey: need('access-key'),
    secretKey: need('secret-key'),
    region: values.get('region') ?? 'us-east-1',
    ...parsePids(values.get('pids') ?? ''),
    contract: values.get('contract') ?? 'not stated',
  }
}

function parsePids(text: string): Pick<Target, 'pids' | 'parts'> {
  const pids: number[] = []
  const parts: Record<string, number[]> = {}
  for (const word of text.split('+').filter(Boolean)) {
    const at = word.indexOf(':')
    const pid = Number(word.slice(at + 1))
    pids.push(pid)
    if (at < 0) continue
    const name = word.slice(0, at)
    parts[name] = [...(parts[name] ?? []), pid]
  }
  return Object.keys(parts).length === 0 ? { pids } : { pids, parts }
}
