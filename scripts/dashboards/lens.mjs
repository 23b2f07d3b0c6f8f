/** One layer of a Kibana Lens visualisation: columns first, then the state around them. */

const LAYER = 'layer';
const NUMBER = { dataType: 'number', isBucketed: false, scale: 'ratio' };
/** Lines of a table, and series of a chart. */
const ROWS = 20;
const SERIES = 8;

export class Lens {
  columns = {};
  referenceName = `indexpattern-datasource-layer-${LAYER}`;

  // Columns; each answers its id.

  count(query) {
    const label = query === undefined ? 'Roundtrips' : query.includes('failure') ? 'Failed' : 'Roundtrips';
    const filter = query === undefined ? {} : { filter: { query, language: 'kuery' } };
    return this.add({
      ...NUMBER,
      label,
      operationType: 'count',
      sourceField: '___records___',
      params: { emptyAsNull: true },
      ...filter,
    });
  }

  percentile(sourceField, percentile) {
    return this.add({
      ...NUMBER,
      label: `${percentile} % of ${sourceField}`,
      operationType: 'percentile',
      sourceField,
      params: { percentile },
    });
  }

  sum(sourceField) {
    return this.add({
      ...NUMBER,
      label: sourceField,
      operationType: 'sum',
      sourceField,
      params: { emptyAsNull: true },
    });
  }

  average(sourceField) {
    return this.add({
      ...NUMBER,
      label: sourceField,
      operationType: 'average',
      sourceField,
      params: { emptyAsNull: true },
    });
  }

  terms(sourceField, size, orderBy) {
    return this.add({
      label: sourceField,
      dataType: 'string',
      isBucketed: true,
      scale: 'ordinal',
      operationType: 'terms',
      sourceField,
      params: {
        size,
        orderBy: { type: 'column', columnId: orderBy },
        orderDirection: 'desc',
        otherBucket: false,
        missingBucket: false,
        parentFormat: { id: 'terms' },
      },
    });
  }

  time() {
    return this.add({
      label: '@timestamp',
      dataType: 'date',
      isBucketed: true,
      scale: 'interval',
      operationType: 'date_histogram',
      sourceField: '@timestamp',
      params: { interval: 'auto', includeEmptyRows: true, dropPartials: false },
    });
  }

  // Visualisations.

  metric(metricAccessor) {
    return { type: 'lnsMetric', visualization: { layerId: LAYER, layerType: 'data', metricAccessor } };
  }

  overTime(value, splitBy, seriesType = 'bar_stacked') {
    const splitAccessor = this.terms(splitBy, SERIES, value);
    return this.chart({ seriesType, accessors: [value], splitAccessor });
  }

  overTimeMany(accessors) {
    return this.chart({ seriesType: 'area_stacked', accessors });
  }

  table(fields, values) {
    const buckets = fields.map((field) => this.terms(field, ROWS, values[0]));
    const columns = [...buckets, ...values].map((columnId) => ({ columnId, isTransposed: false }));
    return {
      type: 'lnsDatatable',
      visualization: {
        layerId: LAYER,
        layerType: 'data',
        columns,
        sorting: { columnId: values[0], direction: 'desc' },
      },
    };
  }

  chart(layer) {
    const xAccessor = this.time();
    return {
      type: 'lnsXY',
      visualization: {
        legend: { isVisible: true, position: 'right' },
        valueLabels: 'hide',
        preferredSeriesType: layer.seriesType,
        layers: [
          { layerId: LAYER, layerType: 'data', position: 'top', showGridlines: false, xAccessor, ...layer },
        ],
      },
    };
  }

  /** Attributes of the saved object. */
  state({ type, visualization }, query) {
    // Buckets come before the values they divide.
    const ids = Object.keys(this.columns);
    const bucketed = (id) => this.columns[id].isBucketed;
    const columnOrder = [...ids.filter(bucketed), ...ids.filter((id) => !bucketed(id))];
    return {
      visualizationType: type,
      state: {
        visualization,
        query: { query, language: 'kuery' },
        filters: [],
        datasourceStates: {
          formBased: {
            layers: { [LAYER]: { columnOrder, columns: this.columns, incompleteColumns: {}, sampling: 1 } },
          },
        },
        internalReferences: [],
        adHocDataViews: {},
      },
    };
  }

  add(column) {
    const id = `column-${Object.keys(this.columns).length}`;
    this.columns[id] = column;
    return id;
  }
}
