/** COPY of one object onto other keys: its cost should not depend on the size. */
import { sizeName } from './objects.js'
import type { Stage } from './stage.js'
import type { Workload } from './workload.js'

const PART_BYTES = 64 * 1024 * 1024

export interface CopyShape {
  readonly sizeBytes: number
  readonly connections: number
  readonly requests: number
}

export function copyWorkload(shape: CopyShape): Workload {
  return {
    name: `COPY ${sizeName(shape.sizeBytes)}`,
    kind: 'copy',
    ...shape,
    async prepare(stage) {
      const source = `copy-source-${shape.sizeBytes}`
      await store(stage, source, shape.sizeBytes)
      const headers = { 'x-amz-copy-source': `/${stage.bucket}/${source}` }
      return Array.from({ length: shape.requests }, (_, index) =>
        stage.item({ method: 'PUT', key: `copy-${shape.sizeBytes}/${index}`, headers }),
      )
    },
  }
}

/** In one request, or above 64 MiB in parts. */
async function store(stage: Stage, key: string, sizeBytes: number): Promise<void> {
  if (sizeBytes <= PART_BYTES) return stage.run([stage.put(key, sizeBytes)])
  const { body } = await stage.ask(stage.item({ method: 'POST', key, query: 'uploads=' }))
  const upload = /<UploadId>([^<]+)</.exec(body)?.[1] ?? ''
  const parts = Math.ceil(sizeBytes / PART_BYTES)
  let list = ''
  for (let number = 1; number <= parts; number++) {
    const query = `partNumber=${number}&uploadId=${encodeURIComponent(upload)}`
    const part = stage.item({ method: 'PUT', key, query, contentLength: PART_BYTES })
    const { head } = await stage.ask({
      ...part,
      request: { ...part.request, body: stage.body(key, PART_BYTES) },
    })
    const etag = /\r\netag: *([^\r]+)/i.exec(head)?.[1] ?? ''
    list += `<Part><PartNumber>${number}</PartNumber><ETag>${etag.replaceAll('"', '&quot;')}</ETag></Part>`
  }
  const document = Buffer.from(`<CompleteMultipartUpload>${list}</CompleteMultipartUpload>`)
  const query = `uploadId=${encodeURIComponent(upload)}`
  const complete = stage.item({ method: 'POST', key, query, contentLength: document.length })
  await stage.ask({ ...complete, request: { ...complete.request, body: document } })
}
