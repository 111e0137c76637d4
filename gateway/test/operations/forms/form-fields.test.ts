import { expect } from 'chai'
import { S3Error } from '../../../src/errors.js'
import { FORM_FIELDS_BYTES_MAX } from '../../../src/limits.js'
import { expandFileName } from '../../../src/operations/forms/form-fields.js'

// biome-ignore lint/suspicious/noTemplateCurlyInString: this is how S3 writes the variable.
const VARIABLE = '${filename}'

describe('the name of the file in fields', () => {
  const expand = (key: string, fileName: string): string | undefined =>
    expandFileName(new Map([['key', key]]), fileName).get('key')

  it('stands in every place, once, and as it is', () => {
    expect(expand(`a/${VARIABLE}/${VARIABLE}`, '$&x')).to.equal('a/$&x/$&x')
    expect(expand(VARIABLE, VARIABLE)).to.equal(VARIABLE)
    expect(expand(`a${VARIABLE}b`, '')).to.equal('ab')
    expect(expandFileName(new Map([['policy', VARIABLE]]), 'x').get('policy')).to.equal(VARIABLE)
  })

  it('does not make more of a form than may be sent', () => {
    const name = 'n'.repeat(8000)
    const count = Math.floor(FORM_FIELDS_BYTES_MAX / VARIABLE.length)
    expect(() => expand(VARIABLE.repeat(count), name)).to.throw(S3Error, /too large/)
    expect(expand(VARIABLE.repeat(count), '')).to.equal('')
  })
})
