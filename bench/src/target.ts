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
  /** What an acknowledgement means there, for the report: `3 copies, fsync`. */
  readonly contract: string
}

const FIELDS = ['name', 'endpoint', 'access-key', 'secret-key', 'region', 'pids', 'contract'] as const

/** Reads `name=…,endpoint=…,access-key=…,secret-key=…[,region=…][,pids=1+2][,contract=…]`. */
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
    pids: (values.get('pids') ?? '').split('+').filter(Boolean).map(Number),
    contract: values.get('contract') ?? 'not stated',
  }
}
